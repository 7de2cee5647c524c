// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

/// Giving up and taking the GIL in threads that may outlive the interpreter: daemon threads, and those of the pool.
///
/// Before 3.14 Python ends a thread that asks for the GIL during its shutdown with pthread_exit, which unwinds the
/// stack; on the way a destructor, or a catch (...), aborts the process.  Such a thread sleeps here until the process
/// is gone, which is what Python does since 3.14.
namespace cvfast::bindings {

[[noreturn]] inline void sleep_until_the_process_ends() {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

[[nodiscard]] inline bool is_shutting_down() noexcept {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsInitialized() == 0 || Py_IsFinalizing() != 0;
#else
  return Py_IsInitialized() == 0 || _Py_IsFinalizing() != 0;
#endif
}

/// Holds the GIL.
class HeldGil {
 public:
  HeldGil() {
    if (is_shutting_down()) sleep_until_the_process_ends();
    try {
      held_.emplace();
    } catch (...) {  // also what pthread_exit unwinds with
      sleep_until_the_process_ends();
    }
  }

 private:
  std::optional<pybind11::gil_scoped_acquire> held_;
};

/// Calls Python.  Where Python ends this thread meanwhile, the thread sleeps in here: were the stack unwound past this
/// frame, destructors would count references without the GIL.
inline pybind11::object call_python(const pybind11::handle& function, const pybind11::tuple& arguments) {
  PyObject* result = nullptr;
  try {
    result = PyObject_CallObject(function.ptr(), arguments.ptr());
  } catch (...) {  // Python's C code throws nothing: this is pthread_exit
    sleep_until_the_process_ends();
  }
  if (result == nullptr) throw pybind11::error_already_set();
  return pybind11::reinterpret_steal<pybind11::object>(result);
}

/// Gives up the GIL; pybind11's own class would end the process in a destructor.
class ReleasedGil {
 public:
  ReleasedGil() : state_(PyEval_SaveThread()) {}
  ReleasedGil(const ReleasedGil&) = delete;
  ReleasedGil& operator=(const ReleasedGil&) = delete;
  ~ReleasedGil() {
    if (is_shutting_down()) sleep_until_the_process_ends();
    try {
      PyEval_RestoreThread(state_);
    } catch (...) {
      sleep_until_the_process_ends();
    }
  }

 private:
  PyThreadState* state_;
};

/// Calls a function without the GIL.
template <typename Function>
void without_gil(Function&& function) {
  const ReleasedGil released;
  std::forward<Function>(function)();
}

}  // namespace cvfast::bindings
