// SPDX-License-Identifier: BSD-3-Clause
//
// A lookup table of up to 16 labels fits into registers, so that a row of eight voxels is one broadcast of its packed
// indices, one shift by a different amount per lane, one permutation and one store: no load per voxel.  The permutation
// looks at the low 3 or 4 bits of a lane only; what the shift leaves above the index are bits of the next voxel, and
// the table repeats so that they do not matter.
//
// Encoding looks for one label at a time in all 512 voxels of a sub-block: eight (or sixteen) comparisons are one
// instruction and their outcome is a bit mask, so there is no branch to mispredict where labels change, which is what a
// scan voxel by voxel spends its time on.  The masks of the labels whose rank has bit k set add up to plane k of the
// indices, and the planes are interleaved by PDEP.
//
// Targets are attributes of the functions, not flags of the file: inline functions of the headers must not be compiled
// for this instruction set, since the linker may keep that copy for everyone.
#include "compressed_segmentation_kernels.hpp"

#if defined(__x86_64__) && defined(__GNUC__)

// GCC 12 takes the deliberately undefined operands inside of its own intrinsics for uninitialised variables.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
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
      _mm512_storeu_si512(
          dst, kBits == 4 ? _mm512_permutex2var_epi64(low, indices, high) : _mm512_permutexvar_epi64(indices, low));
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
      const __m256i indices = _mm256_srlv_epi32(_mm256_set1_epi32(static_cast<int>(load_row<kBits>(values))), shifts);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst), kBits == 4 ? _mm256_permutex2var_epi32(low, indices, high)
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

/// One bit per voxel of a sub-block, in the order of the voxels.
struct alignas(64) CubeMask {
  std::uint64_t words[kCubeVoxels / 64];
};

CVFAST_AVX512 inline void find_label(const std::uint64_t* voxels, std::uint64_t label, CubeMask& mask) noexcept {
  const __m512i wanted = _mm512_set1_epi64(static_cast<long long>(label));
  for (std::size_t i = 0; i < kCubeVoxels / 64; ++i) {
    std::uint64_t word = 0;
    for (unsigned j = 0; j < 8; ++j) {
      const __mmask8 equal = _mm512_cmpeq_epi64_mask(_mm512_loadu_si512(voxels + 64 * i + 8 * j), wanted);
      word |= std::uint64_t{equal} << (8 * j);
    }
    mask.words[i] = word;
  }
}

CVFAST_AVX512 inline void find_label(const std::uint32_t* voxels, std::uint32_t label, CubeMask& mask) noexcept {
  const __m512i wanted = _mm512_set1_epi32(static_cast<int>(label));
  for (std::size_t i = 0; i < kCubeVoxels / 64; ++i) {
    std::uint64_t word = 0;
    for (unsigned j = 0; j < 4; ++j) {
      const __mmask16 equal = _mm512_cmpeq_epi32_mask(_mm512_loadu_si512(voxels + 64 * i + 16 * j), wanted);
      word |= std::uint64_t{equal} << (16 * j);
    }
    mask.words[i] = word;
  }
}

template <typename T>
CVFAST_AVX512 unsigned encode_cube(const T* voxels, T* labels, std::byte* packed) noexcept {
  CubeMask masks[kShortTable];
  unsigned count = 0;
  __m512i left = _mm512_set1_epi64(-1);
  for (std::size_t next = 0;;) {
    if (count == kShortTable) return 0;
    labels[count] = voxels[next];
    find_label(voxels, voxels[next], masks[count]);
    left = _mm512_andnot_si512(_mm512_load_si512(masks[count].words), left);
    ++count;
    const __mmask8 open = _mm512_test_epi64_mask(left, left);
    if (open == 0) break;
    CubeMask rest;
    _mm512_store_si512(rest.words, left);
    const auto word = static_cast<unsigned>(__builtin_ctz(open));
    next = 64 * word + static_cast<unsigned>(__builtin_ctzll(rest.words[word]));
  }

  // Ranks by insertion sort, the masks going along by their number.
  unsigned order[kShortTable];
  for (unsigned i = 0; i < count; ++i) {
    const T label = labels[i];
    unsigned j = i;
    for (; j > 0 && labels[j - 1] > label; --j) {
      labels[j] = labels[j - 1];
      order[j] = order[j - 1];
    }
    labels[j] = label;
    order[j] = i;
  }

  CubeMask planes[4];
  const unsigned bits = count <= 2 ? 1 : count <= 4 ? 2 : 4;
  for (unsigned k = 0; k < bits; ++k) {
    __m512i plane = _mm512_setzero_si512();
    for (unsigned rank = 0; rank < count; ++rank) {
      if ((rank >> k & 1U) != 0) plane = _mm512_or_si512(plane, _mm512_load_si512(masks[order[rank]].words));
    }
    _mm512_store_si512(planes[k].words, plane);
  }
  if (bits == 1) {
    std::memcpy(packed, planes[0].words, sizeof(CubeMask));
    return count;
  }
  const unsigned step = 64 / bits;
  const std::uint64_t spread = bits == 2 ? 0x5555555555555555U : 0x1111111111111111U;
  std::byte* out = packed;
  for (std::size_t i = 0; i < kCubeVoxels / 64; ++i) {
    for (unsigned shift = 0; shift < 64; shift += step, out += 8) {
      std::uint64_t word = 0;
      for (unsigned k = 0; k < bits; ++k) word |= _pdep_u64(planes[k].words[i] >> shift, spread << k);
      std::memcpy(out, &word, sizeof(word));
    }
  }
  return count;
}

}  // namespace

bool CVFAST_AVX512 gather_cube_avx512(const std::byte* src, std::int64_t stride_y, std::int64_t stride_z,
                                      std::uint64_t* voxels) noexcept {
  const __m512i first = _mm512_broadcastq_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(src)));
  __m512i difference = _mm512_setzero_si512();
  for (std::int64_t z = 0; z < 8; ++z) {
    for (std::int64_t y = 0; y < 8; ++y, voxels += 8) {
      const __m512i row = _mm512_loadu_si512(src + y * stride_y + z * stride_z);
      _mm512_storeu_si512(voxels, row);
      difference = _mm512_or_si512(difference, _mm512_xor_si512(row, first));
    }
  }
  return _mm512_test_epi64_mask(difference, difference) == 0;
}

bool CVFAST_AVX512 gather_cube_avx512(const std::byte* src, std::int64_t stride_y, std::int64_t stride_z,
                                      std::uint32_t* voxels) noexcept {
  const __m256i first = _mm256_broadcastd_epi32(_mm_loadu_si32(src));
  __m256i difference = _mm256_setzero_si256();
  for (std::int64_t z = 0; z < 8; ++z) {
    for (std::int64_t y = 0; y < 8; ++y, voxels += 8) {
      const __m256i row = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + y * stride_y + z * stride_z));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(voxels), row);
      difference = _mm256_or_si256(difference, _mm256_xor_si256(row, first));
    }
  }
  return _mm256_testz_si256(difference, difference) != 0;
}

unsigned encode_cube_avx512(const std::uint64_t* voxels, std::uint64_t* labels, std::byte* packed) noexcept {
  return encode_cube(voxels, labels, packed);
}
unsigned encode_cube_avx512(const std::uint32_t* voxels, std::uint32_t* labels, std::byte* packed) noexcept {
  return encode_cube(voxels, labels, packed);
}

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
bool gather_cube_avx512(const std::byte*, std::int64_t, std::int64_t, std::uint64_t*) noexcept { std::abort(); }
bool gather_cube_avx512(const std::byte*, std::int64_t, std::int64_t, std::uint32_t*) noexcept { std::abort(); }
unsigned encode_cube_avx512(const std::uint64_t*, std::uint64_t*, std::byte*) noexcept { std::abort(); }
unsigned encode_cube_avx512(const std::uint32_t*, std::uint32_t*, std::byte*) noexcept { std::abort(); }

}  // namespace cvfast::decode::compressed_segmentation

#endif
