// TextMap: a hash map from text that can be asked with a std::string_view, without a copy.
//
// Its hash is keyed: names come from outside. Never iterated where the order could be seen.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/keyed_hash.hpp"

namespace wsr {

template <class Value>
using TextMap = std::unordered_map<std::string, Value, KeyedHash, std::equal_to<>>;

}  // namespace wsr
