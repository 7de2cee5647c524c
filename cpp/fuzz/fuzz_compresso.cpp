// SPDX-License-Identifier: BSD-3-Clause
#include "compresso.hpp"
#include "cvfast/decode/compresso.hpp"
#include "label_codec_target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cvfast;
  if (size < fuzz::kPrefix) return 0;
  const fuzz::Input input(data, size);
  fuzz::check_label_codec(
      {&decode::compresso::decode_box, &decode::compresso::unique_box, &reference::decode_compresso}, input,
      input.content());
  return 0;
}
