// SPDX-License-Identifier: BSD-3-Clause
#include <cstring>

#include "crackle.hpp"
#include "cvfast/decode/crackle.hpp"
#include "label_codec_target.hpp"

namespace {

using namespace cvfast;

// Makes the checksums of a version 1 file fit, where they can be found, so that damage gets past them.
void fix_checksums(std::vector<std::byte>& data, const Int3& shape) {
  const auto slices = static_cast<std::size_t>(shape[2]);
  if (data.size() < 29 || data[4] != std::byte{1}) return;
  unsigned crc = 0xff;
  for (std::size_t i = 5; i < 28; ++i) {
    crc ^= std::to_integer<unsigned>(data[i]);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xe7U : 0U);
  }
  data[28] = static_cast<std::byte>(crc);
  std::uint64_t label_bytes = 0;
  std::memcpy(&label_bytes, data.data() + 20, 8);
  const std::size_t index_end = 29 + 4 * slices;
  const std::size_t tail = 4 + 4 * slices;
  if (data.size() < index_end + 4 + tail || label_bytes > data.size() - index_end - 4 - tail) return;
  const auto put = [&](std::size_t begin, std::size_t bytes, std::size_t at) {
    const std::uint32_t value = reference::crc32c(std::span(data).subspan(begin, bytes));
    std::memcpy(data.data() + at, &value, 4);
  };
  put(29, 4 * slices, index_end);
  put(index_end + 4, label_bytes, data.size() - tail);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < fuzz::kPrefix) return 0;
  const fuzz::Input input(bytes, size);
  std::vector<std::byte> data = input.content();
  if ((input[4] & 4) != 0) fix_checksums(data, fuzz::label_shape(input));
  fuzz::check_label_codec({&decode::crackle::decode_box, &decode::crackle::unique_box, &reference::decode_crackle},
                          input, data);
  return 0;
}
