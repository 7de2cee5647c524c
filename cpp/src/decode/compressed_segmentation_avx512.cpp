// SPDX-License-Identifier: BSD-3-Clause
//
// A lookup table of up to 16 labels fits into registers, so that a row of eight voxels is one broadcast of its packed
// indices, one shift by a different amount per lane, one permutation and one store: no load per voxel.  The permutation
// looks at the low 3 or 4 bits of a lane only; what the shift leaves above the index are bits of the next voxel, and
// the table repeats so that they do not matter.
//
// Targets are attributes of the functions, not flags of the file: inline functions of the headers must not be compiled
// for this instruction set, since the linker may keep that copy for everyone.
#include "compressed_segmentation_kernels.hpp"

#if defined(__x86_64__) && defined(__GNUC__)

// GCC 12 takes the deliberately undefined operands inside of its own intrinsics for uninitialised variables.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <cstring>

#define CVFAST_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi2")))

namespace cvfast::decode::compressed_segmentation {
namespace {

template <unsigned kBits>
CVFAST_AVX512 inline std::uint32_t load_row(const std::byte* values) noexcept {
  std::uint32_t packed = 0;
  std::memcpy(&packed, values, kBits);
  return packed;
}

template <unsigned kBits>
CVFAST_AVX512 void unpack(const Rows& rows, const std::uint64_t* table) noexcept {
  const __m512i low = _mm512_loadu_si512(table);
  const __m512i high = _mm512_loadu_si512(table + 8);
  const __m512i shifts = _mm512_mullo_epi64(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi64(kBits));
  for (std::int64_t z = 0; z < rows.count_z; ++z) {
    const std::byte* values = rows.values + z * rows.values_stride_z;
    std::byte* dst = rows.dst + z * rows.dst_stride_z;
    for (std::int64_t y = 0; y < rows.count_y; ++y, values += kBits, dst += rows.dst_stride_y) {
      const __m512i indices = _mm512_srlv_epi64(_mm512_set1_epi64(load_row<kBits>(values)), shifts);
      _mm512_storeu_si512(dst, kBits == 4 ? _mm512_permutex2var_epi64(low, indices, high)
                                          : _mm512_permutexvar_epi64(indices, low));
    }
  }
}

template <unsigned kBits>
CVFAST_AVX512 void unpack(const Rows& rows, const std::uint32_t* table) noexcept {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(table));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(table + 8));
  const __m256i shifts =
      _mm256_mullo_epi32(_mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0), _mm256_set1_epi32(static_cast<int>(kBits)));
  for (std::int64_t z = 0; z < rows.count_z; ++z) {
    const std::byte* values = rows.values + z * rows.values_stride_z;
    std::byte* dst = rows.dst + z * rows.dst_stride_z;
    for (std::int64_t y = 0; y < rows.count_y; ++y, values += kBits, dst += rows.dst_stride_y) {
      const __m256i indices =
          _mm256_srlv_epi32(_mm256_set1_epi32(static_cast<int>(load_row<kBits>(values))), shifts);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst),
                          kBits == 4 ? _mm256_permutex2var_epi32(low, indices, high)
                                     : _mm256_permutexvar_epi32(indices, low));
    }
  }
}

template <unsigned kBits>
CVFAST_AVX512 void unpack(const Rows& rows, const std::uint8_t* table) noexcept {
  const __m128i labels = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
  constexpr std::uint64_t kSpread = 0x0101010101010101U * ((1U << kBits) - 1);
  for (std::int64_t z = 0; z < rows.count_z; ++z) {
    const std::byte* values = rows.values + z * rows.values_stride_z;
    std::byte* dst = rows.dst + z * rows.dst_stride_z;
    for (std::int64_t y = 0; y < rows.count_y; ++y, values += kBits, dst += rows.dst_stride_y) {
      const auto indices = static_cast<long long>(_pdep_u64(load_row<kBits>(values), kSpread));
      _mm_storel_epi64(reinterpret_cast<__m128i*>(dst), _mm_shuffle_epi8(labels, _mm_cvtsi64_si128(indices)));
    }
  }
}

template <typename U>
CVFAST_AVX512 void unpack_any(const Rows& rows, unsigned bits, const U* table) noexcept {
  switch (bits) {
    case 1:
      return unpack<1>(rows, table);
    case 2:
      return unpack<2>(rows, table);
    default:
      return unpack<4>(rows, table);
  }
}

}  // namespace

void unpack_rows_avx512(const Rows& rows, unsigned bits, const std::uint64_t* table) noexcept {
  unpack_any(rows, bits, table);
}
void unpack_rows_avx512(const Rows& rows, unsigned bits, const std::uint32_t* table) noexcept {
  unpack_any(rows, bits, table);
}
void unpack_rows_avx512(const Rows& rows, unsigned bits, const std::uint8_t* table) noexcept {
  unpack_any(rows, bits, table);
}

}  // namespace cvfast::decode::compressed_segmentation

#else

#include <cstdlib>

namespace cvfast::decode::compressed_segmentation {

// best_isa() never names this set here.
void unpack_rows_avx512(const Rows&, unsigned, const std::uint64_t*) noexcept { std::abort(); }
void unpack_rows_avx512(const Rows&, unsigned, const std::uint32_t*) noexcept { std::abort(); }
void unpack_rows_avx512(const Rows&, unsigned, const std::uint8_t*) noexcept { std::abort(); }

}  // namespace cvfast::decode::compressed_segmentation

#endif
