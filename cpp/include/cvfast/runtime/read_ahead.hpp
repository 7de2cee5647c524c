// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cvfast/runtime/object_batch.hpp"

/// Batches of objects that threads of their own prepare while the caller works on those before them.
///
/// The caller is one of those who prepare: where its batch is not ready, and others may be begun, it begins one.  So
/// all processors are busy whatever the shares of the two kinds of work are, and with one thread the caller does
/// everything.
namespace cvfast::runtime {

struct ReadAheadOptions {
  int threads = 0;                                    ///< the caller included; 0: as many as the process may use
  std::uint64_t max_bytes = std::uint64_t{64} << 20;  ///< of batches that wait; beyond it none is begun
};

class ReadAhead {
 public:
  using Batch = std::vector<StoredObject>;
  using GoOn = std::function<bool()>;
  /// Prepares a batch by its number.  Once `go_on`, which is to be asked now and then, says no, nobody wants it any
  /// more, and it may return early.  What it throws reaches whoever asks for this batch.  Several threads call it at
  /// once.
  using Prepare = std::function<void(std::size_t number, const GoOn& go_on, Batch& out)>;

  enum class Outcome : std::uint8_t { kBatch, kEnd, kInterrupted };

  ReadAhead(std::size_t count, Prepare prepare, const ReadAheadOptions& options = {});
  /// As `close`.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  /// Waits for the next batch, in the order of their numbers.
  ///
  /// In a forked child, which has none of the threads, it prepares what its parent had not been given.
  /// @param poll called by the calling thread about every 50 ms; returns false to stop, for good.
  [[nodiscard]] Outcome next(Batch& out, const GoOn& poll = [] { return true; });

  /// Stops, and waits until no thread is left; afterwards `next` says kEnd.
  void close() noexcept;

 private:
  struct State;
  [[nodiscard]] bool is_forked() const noexcept;

  std::size_t count_;
  std::uint64_t max_bytes_;
  Prepare prepare_;
  std::size_t given_ = 0;
  long owner_;  // the process
  std::unique_ptr<State> state_;
};

/// Reads objects, `batch_keys` to a batch; see `read_objects`.  `keys` is copied.
[[nodiscard]] std::unique_ptr<ReadAhead> read_objects_ahead(const std::string& root, std::vector<std::string> keys,
                                                            std::size_t batch_keys, std::uint64_t limit_bytes,
                                                            const ReadAheadOptions& options = {});

/// Inflates gzipped objects, which stay where they are meanwhile, `batch_ranges` to a batch.  What is not as its end
/// claims, or is larger than `limit_bytes`, is kError.
[[nodiscard]] std::unique_ptr<ReadAhead> inflate_ahead(std::vector<std::span<const std::byte>> ranges,
                                                       std::size_t batch_ranges, std::uint64_t limit_bytes,
                                                       const ReadAheadOptions& options = {});

}  // namespace cvfast::runtime
