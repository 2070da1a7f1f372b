// LinkTable: the links of one shard, by peer and by index; which of them have something to flush.
//
// Thread-safety: none. Bounds: one link a peer shard; the Router drops links of servers that are gone and
// of absent peers that stay silent. An index is reused after drop(): see Link::handed_over for stale answers.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/routing/link.hpp"

namespace wsr {

class LinkTable {
public:
  explicit LinkTable(LinkContext context) : context_(std::move(context)) {}

  using Index = std::uint32_t;
  struct Entry {
    Index index;
    Link& link;
  };
  /// The link to `peer`, made if there is none.
  [[nodiscard]] Entry to(const ShardAddress& peer);
  [[nodiscard]] Link* find(const ShardAddress& peer);
  [[nodiscard]] Link* at(Index index) { return index < links_.size() ? links_[index].get() : nullptr; }
  [[nodiscard]] Index end() const { return static_cast<Index>(links_.size()); }
  void drop(Index index);

  /// Puts the link on the list that end_turn() flushes.
  void touch(Entry entry);
  [[nodiscard]] std::vector<Index> take_dirty();

  [[nodiscard]] LinkContext& context() { return context_; }

private:
  LinkContext context_;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<Index> free_;
  std::unordered_map<ShardAddress, Index> by_peer_;
  std::vector<Index> dirty_;
};

}  // namespace wsr
