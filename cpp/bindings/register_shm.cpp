// SPDX-License-Identifier: BSD-3-Clause
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "cvfast/shm/chunk_ledger.hpp"
#include "cvfast/shm/process.hpp"
#include "cvfast/shm/segment.hpp"
#include "gil.hpp"
#include "register.hpp"

namespace {

namespace shm = cvfast::shm;
using SharedSegment = std::shared_ptr<shm::Segment>;

// The last array or object that looks at a segment may unmap gigabytes.
struct Owner {
  SharedSegment segment;
  ~Owner() {
    if (PyGILState_Check() == 0 || cvfast::bindings::is_shutting_down()) return;
    const cvfast::bindings::ReleasedGil released;
    segment.reset();
  }
};

py::array_t<std::uint8_t> bytes_of(const SharedSegment& segment) {
  auto owner = std::make_unique<Owner>(Owner{segment});
  const py::capsule capsule(owner.release(), [](void* p) { delete static_cast<Owner*>(p); });
  py::array_t<std::uint8_t> out(static_cast<py::ssize_t>(segment->size()),
                                reinterpret_cast<const std::uint8_t*>(segment->data()), capsule);
  if (!segment->is_writable()) out.attr("flags").attr("writeable") = false;
  return out;
}

// OSError(errno, text, name), with the numbers as attributes.
void set_error(const shm::ShmError& error) {
  const py::object type = py::reinterpret_borrow<py::object>(PyExc_OSError);
  const std::string text = std::string(error.call) + ": " + std::strerror(error.error);
  py::object value = type(error.error, text, error.name);
  value.attr("expected_bytes") = error.expected_bytes;
  value.attr("available_bytes") = error.available_bytes;
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(value.ptr())), value.ptr());
}

py::tuple to_tuple(const shm::LedgerCounts& counts) {
  return py::make_tuple(counts.done, counts.chunks, counts.bytes, counts.claims, counts.requeued);
}

const char* name_of(shm::JobState state) {
  static constexpr const char* kNames[] = {"running", "complete", "failed", "cancelled"};
  return kNames[static_cast<std::uint32_t>(state) & 3U];
}

const char* name_of(shm::ItemState state) {
  static constexpr const char* kNames[] = {"free", "claimed", "done", "failed"};
  return kNames[static_cast<std::uint8_t>(state) & 3U];
}

shm::JobState to_job_state(const std::string& name) {
  for (const auto state : {shm::JobState::kComplete, shm::JobState::kFailed, shm::JobState::kCancelled}) {
    if (name == name_of(state)) return state;
  }
  throw std::invalid_argument("finish: expected complete, failed or cancelled, found " + name);
}

class Ledger {
 public:
  explicit Ledger(std::shared_ptr<shm::ChunkLedger> ledger) : ledger_(std::move(ledger)) {}

  shm::ChunkLedger& operator*() const { return *ledger_; }
  shm::ChunkLedger* operator->() const { return ledger_.get(); }

  std::uint64_t checked(std::uint64_t item) const {
    if (item >= ledger_->items()) throw py::index_error("item: out of range");
    return item;
  }

  std::uint32_t checked_participant(std::uint32_t participant) const {
    if (participant >= shm::kMaxParticipants) throw py::index_error("participant: out of range");
    return participant;
  }

 private:
  std::shared_ptr<shm::ChunkLedger> ledger_;
};

}  // namespace

void register_shm(py::module_& module) {
  py::register_exception_translator([](std::exception_ptr raised) {
    try {
      if (raised) std::rethrow_exception(raised);
    } catch (const shm::ShmError& error) {
      set_error(error);
    } catch (const shm::LedgerError& error) {
      PyErr_SetString(PyExc_ValueError, error.what());
    }
  });
  using Released = py::call_guard<cvfast::bindings::ReleasedGil>;
  py::class_<shm::Segment, SharedSegment>(module, "Segment")
      .def_static("create", &shm::Segment::create, py::arg("name"), py::arg("size_bytes"), Released())
      .def_static("open", &shm::Segment::open, py::arg("name"), py::arg("is_writable"), Released())
      .def_property_readonly("name", &shm::Segment::name)
      .def_property_readonly("size_bytes", &shm::Segment::size)
      .def_property_readonly("is_writable", &shm::Segment::is_writable)
      .def_property_readonly("is_recycled", &shm::Segment::is_recycled)
      .def_property_readonly("identity", &shm::Segment::identity)
      .def("bytes", &bytes_of)
      .def("rename", &shm::Segment::rename, py::arg("name"), Released())
      .def("rename_if_free", &shm::Segment::rename_if_free, py::arg("name"), Released())
      .def("resize", &shm::Segment::resize, py::arg("size_bytes"), Released())
      .def("unlink", &shm::Segment::unlink, Released());
  py::class_<Ledger>(module, "ChunkLedger")
      .def_static(
          "create",
          [](const std::string& name, std::uint64_t items, std::uint64_t data_bytes, const py::bytes& digest,
             std::uint64_t open_items) {
            const shm::LedgerPlan plan{items, data_bytes, std::string(digest), open_items};
            return Ledger(shm::ChunkLedger::create(name, plan));
          },
          py::arg("name"), py::arg("items"), py::arg("data_bytes"), py::arg("digest"), py::arg("open_items"))
      .def_static(
          "open",
          [](const std::string& name, const py::bytes& digest) {
            return Ledger(shm::ChunkLedger::open(name, std::string(digest)));
          },
          py::arg("name"), py::arg("digest"))
      .def("join", [](const Ledger& self) { return self->join(); })
      .def("leave", [](const Ledger& self, std::uint32_t p) { self->leave(self.checked_participant(p)); })
      .def("claim", [](const Ledger& self, std::uint32_t p) { return self->claim(self.checked_participant(p)); })
      .def("publish",
           [](const Ledger& self, std::uint32_t p, std::uint64_t item, std::uint64_t chunks, std::uint64_t bytes) {
             return self->publish(self.checked_participant(p), self.checked(item), chunks, bytes);
           })
      .def("fail", [](const Ledger& self, std::uint32_t p, std::uint64_t item,
                      const std::string& text) { self->fail(self.checked_participant(p), self.checked(item), text); })
      .def("requeue", [](const Ledger& self, std::uint32_t p) { return self->requeue(self.checked_participant(p)); })
      .def(
          "requeue_ended", [](const Ledger& self) { return self->requeue_ended(); }, Released())
      .def(
          "has_participants", [](const Ledger& self, std::uint32_t except) { return self->has_participants(except); },
          py::arg("except_") = ~std::uint32_t{0})
      .def("open_to", [](const Ledger& self, std::uint64_t items) { self->open_to(items); })
      .def("may_make_data",
           [](const Ledger& self, std::uint32_t p) { return self->may_make_data(self.checked_participant(p)); })
      .def(
          "set_data_ready", [](const Ledger& self, std::uint64_t identity) { self->set_data_ready(identity); },
          py::arg("identity"))
      .def_property_readonly("data_identity", [](const Ledger& self) { return self->data_identity(); })
      .def_property_readonly("is_data_ready", [](const Ledger& self) { return self->is_data_ready(); })
      .def("finish", [](const Ledger& self, const std::string& state) { return self->finish(to_job_state(state)); })
      .def_property_readonly("state", [](const Ledger& self) { return name_of(self->state()); })
      .def_property_readonly("is_complete", [](const Ledger& self) { return self->is_complete(); })
      .def("item_state",
           [](const Ledger& self, std::uint64_t item) { return name_of(self->item_state(self.checked(item))); })
      .def("counts", [](const Ledger& self) { return to_tuple(self->counts()); })
      .def("failure",
           [](const Ledger& self) -> py::object {
             const auto failure = self->failure();
             if (!failure) return py::none();
             return py::make_tuple(failure->item, py::bytes(failure->text));
           })
      .def_property_readonly("items", [](const Ledger& self) { return self->items(); })
      .def_property_readonly("data_bytes", [](const Ledger& self) { return self->data_bytes(); })
      .def_property_readonly("name", [](const Ledger& self) { return self->name(); })
      .def_property_readonly("is_stale", [](const Ledger& self) { return self->is_stale(); })
      .def_property_readonly("changes", [](const Ledger& self) { return self->changes(); })
      .def(
          "wait", [](const Ledger& self, std::uint32_t seen, int ms) { self->wait(seen, ms); }, py::arg("seen"),
          py::arg("milliseconds"), Released())
      .def("unlink", [](const Ledger& self) { self->unlink(); });
  module.def("shm_folder", [] { return shm::folder(); });
  module.def("shm_available_bytes", &shm::available_bytes);
  module.def("shm_hidden_name", [](const std::string& kind) { return shm::hidden_name(kind); }, py::arg("kind"));
  module.def("shm_plain_name", &shm::plain_name, py::arg("name"));
  module.def("shm_shared_ledger_name", &shm::shared_ledger_name, py::arg("location"));
  module.def("shm_shared_data_name", &shm::shared_data_name, py::arg("location"));
  module.def("shm_unlink", &shm::unlink, py::arg("name"), Released());
  module.def("shm_exists", &shm::exists, py::arg("name"));
  module.def("shm_remove_abandoned", &shm::remove_abandoned, Released());
  module.def("shm_kept_bytes", &shm::kept_bytes);
  module.def("shm_release_kept", &shm::release_kept, Released());
}
