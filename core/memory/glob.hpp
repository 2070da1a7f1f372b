// Glob patterns as Redis' PSUBSCRIBE reads them: * ? [abc] [^abc] [a-z] and backslash.
//
// Also in its corners: a class without end reaches to the end of the pattern, a backslash at the end stands for itself,
// a range can be written either way round. Bytes are compared, not characters.
//
// Cost: O(pattern x text) at worst; no recursion, so a hostile pattern of many stars costs no more.
#pragma once

#include <string_view>

namespace wsr::memory {

[[nodiscard]] bool is_glob_match(std::string_view pattern, std::string_view text);

}  // namespace wsr::memory
