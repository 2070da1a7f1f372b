// LinkTable: the links of one shard, by peer and by index; which of them have something to flush.
//
// What came over a link is remembered when it is dropped: its peer may live, and go on where it was.
//
// Thread-safety: none. Bounds: one link a peer shard; the Router drops links of servers that are gone and of absent
// peers that stay silent, and remembered_max of those are remembered. An index is reused after drop(): see
// Link::handed_over for stale answers.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/routing/link.hpp"

namespace wsr {

class LinkTable {
public:
  explicit LinkTable(LinkContext context) : context_(std::move(context)) {}

  using Index = std::uint32_t;
  static constexpr std::size_t remembered_max = 4'096;
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
  /// What these three return is valid until the next call of the same.
  [[nodiscard]] std::span<const Index> take_dirty();
  /// Puts the link on the list of those that a timer looks at.
  void watch(Entry entry);
  /// In the order of their indexes; a link among them may have been dropped, or have been made anew, meanwhile.
  [[nodiscard]] std::span<const Index> take_watched();
  /// Puts the link on the list of those that tell their account next.
  void owe_account(Entry entry);
  [[nodiscard]] std::span<const Index> take_owing();

  [[nodiscard]] LinkContext& context() { return context_; }

private:
  LinkContext context_;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<Index> free_;
  boost::unordered_flat_map<ShardAddress, Index, std::hash<ShardAddress>> by_peer_;
  struct List {
    std::vector<Index> gathering, taken;  // their room is used again
    [[nodiscard]] std::span<const Index> take();
  };
  List dirty_, watched_, owing_;
  std::unordered_map<ShardAddress, Link::Inbound> remembered_;  // of links that were dropped
  std::deque<ShardAddress> remembered_order_;
};

}  // namespace wsr
