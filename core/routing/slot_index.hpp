// SlotIndex: finds slots of a table by a text that stands in the slot itself, so that no key is kept twice.
// Its hash is keyed: the texts come from outside.
//
// It costs 5 to 10 bytes a slot, and a look costs two cache lines besides the slot's own.
//
// Thread-safety: none. REQUIRES: the text of a slot in the index does not change, and the table does not move.
#pragma once

#include <boost/container/deque.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <string_view>

#include "core/base/keyed_hash.hpp"

namespace wsr {

/// A table whose slots never move. In blocks of 64: std::deque has one of its own for each slot above 512 bytes, and
/// the list of a million blocks is itself a miss of the cache at every look.
template <class T>
using SlotTable =
    boost::container::deque<T, void, boost::container::deque_options_t<boost::container::block_size<64U>>>;

/// `TextOf` is copied; `std::string_view operator()(std::uint32_t slot) const` gives the text of a slot.
template <class TextOf>
class SlotIndex {
public:
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  explicit SlotIndex(TextOf text_of) : slots_(0, Hash{text_of, {}}, Equal{text_of}) {}

  /// The slot with this text; `none` if there is none.
  [[nodiscard]] std::uint32_t find(std::string_view text) const {
    const auto found = slots_.find(text);
    return found == slots_.end() ? none : *found;
  }
  /// REQUIRES: no slot with its text is in the index.
  void insert(std::uint32_t slot) { slots_.insert(slot); }
  void erase(std::uint32_t slot) { slots_.erase(slot); }

private:
  struct Hash {
    using is_transparent = void;
    using is_avalanching = void;
    TextOf text_of;
    KeyedHash keyed{};
    std::size_t operator()(std::uint32_t slot) const { return (*this)(text_of(slot)); }
    std::size_t operator()(std::string_view text) const { return keyed(text); }
  };
  struct Equal {
    using is_transparent = void;
    TextOf text_of;
    bool operator()(std::uint32_t a, std::uint32_t b) const { return a == b || text_of(a) == text_of(b); }
    bool operator()(std::string_view text, std::uint32_t slot) const { return text == text_of(slot); }
    bool operator()(std::uint32_t slot, std::string_view text) const { return text == text_of(slot); }
  };
  boost::unordered_flat_set<std::uint32_t, Hash, Equal> slots_;
};

}  // namespace wsr
