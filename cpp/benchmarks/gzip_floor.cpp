// SPDX-License-Identifier: BSD-3-Clause
//
// gzip_floor FOLDER THREADS REPETITIONS
//
// The least that reading a folder of gzip files can cost: pread of each file and one libdeflate call, on
// some threads, into memory that stays in the thread's cache. Nothing is decoded or painted. Prints the
// milliseconds of each repetition, one per line; the first one also warms buffers up.
#include <fcntl.h>
#include <libdeflate.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <latch>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kGzipMinBytes = 18;

// Closes on every way out.
class File {
 public:
  explicit File(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] bool read_all(std::vector<std::byte>& bytes) const {
    struct stat status{};
    if (fd_ < 0 || ::fstat(fd_, &status) != 0) return false;
    bytes.resize(static_cast<std::size_t>(status.st_size));
    std::size_t done = 0;
    while (done < bytes.size()) {
      const auto got = ::pread(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
      if (got <= 0) return false;
      done += static_cast<std::size_t>(got);
    }
    return true;
  }

 private:
  int fd_;
};

struct Deleter {
  void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
};

struct Worker {
  std::unique_ptr<libdeflate_decompressor, Deleter> decompressor{libdeflate_alloc_decompressor()};
  std::vector<std::byte> packed;
  std::vector<std::byte> voxels;

  [[nodiscard]] bool inflate(const std::string& path) {
    if (!File(path).read_all(packed) || packed.size() < kGzipMinBytes) return false;
    // The last four bytes of a gzip file are its length unpacked, little-endian, modulo 2^32.
    std::size_t size = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      size |= std::to_integer<std::size_t>(packed[packed.size() - 4 + i]) << (8 * i);
    }
    if (voxels.size() < size) voxels.resize(size);
    return libdeflate_gzip_decompress(decompressor.get(), packed.data(), packed.size(), voxels.data(), size, nullptr) ==
           LIBDEFLATE_SUCCESS;
  }
};

[[nodiscard]] bool parse(std::string_view text, unsigned& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value > 0;
}

}  // namespace

int main(int argc, char** argv) {
  unsigned threads = 0;
  unsigned repetitions = 0;
  if (argc != 4 || !parse(argv[2], threads) || !parse(argv[3], repetitions)) {
    std::fputs("usage: gzip_floor FOLDER THREADS REPETITIONS\n", stderr);
    return 2;
  }
  std::vector<std::string> paths;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1], error)) {
    if (entry.path().extension() == ".gz") paths.push_back(entry.path().string());
  }
  if (error || paths.empty()) {
    std::fprintf(stderr, "gzip_floor: %s: expected a folder with .gz files\n", argv[1]);
    return 2;
  }
  std::sort(paths.begin(), paths.end());

  std::vector<Worker> workers(threads);
  for (unsigned repetition = 0; repetition < repetitions; ++repetition) {
    std::atomic<std::size_t> next{0};
    std::atomic<bool> failed{false};
    const auto run = [&](Worker& worker) {
      // Relaxed: the counter only hands out numbers, the joins below order everything else.
      for (auto i = next.fetch_add(1, std::memory_order_relaxed); i < paths.size();
           i = next.fetch_add(1, std::memory_order_relaxed)) {
        if (!worker.inflate(paths[i])) failed.store(true, std::memory_order_relaxed);
      }
    };
    // Threads are started before the clock is: a pool would have them ready as well.
    std::latch ready(static_cast<std::ptrdiff_t>(threads));
    std::latch go(1);
    std::vector<std::jthread> pool;
    pool.reserve(threads);
    for (auto& worker : workers) {
      pool.emplace_back([&] {
        ready.count_down();
        go.wait();
        run(worker);
      });
    }
    ready.wait();
    const auto start = std::chrono::steady_clock::now();
    go.count_down();
    pool.clear();
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    if (failed.load(std::memory_order_relaxed)) {
      std::fprintf(stderr, "gzip_floor: %s: a file cannot be read or unpacked\n", argv[1]);
      return 1;
    }
    std::printf("%.3f\n", elapsed.count());
  }
  return 0;
}
