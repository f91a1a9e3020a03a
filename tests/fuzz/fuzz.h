#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "runtime/error.h"

namespace pal::fuzz {

/// Gives the bytes to a parser. It may accept them or throw data; anything else is a finding.
template <typename Parse>
int run(const uint8_t* bytes, size_t size, Parse&& parse) {
  try {
    parse(std::span<const uint8_t>(bytes, size));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) std::abort();
  }
  return 0;
}

}  // namespace pal::fuzz
