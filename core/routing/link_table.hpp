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
  [[nodiscard]] std::size_t size() const { return by_peer_.size(); }
  [[nodiscard]] Index end() const { return static_cast<Index>(links_.size()); }
  void drop(Index index);

  /// Puts the link on the list that end_turn() flushes.
  void touch(Entry entry) { dirty_.add(entry); }
  /// Puts the link on the list of those that a timer looks at.
  void watch(Entry entry) { watched_.add(entry); }
  /// Puts the link on the list of those that tell their account next.
  void owe_account(Entry entry) { owing_.add(entry); }
  /// Empty the list and return what was on it, valid until the next call of the same. A link among them may have been
  /// dropped, or have been made anew, meanwhile. take_dirty(): in the order of their first touch; the others: of their
  /// indexes.
  [[nodiscard]] std::span<const Index> take_dirty() { return dirty_.take(links_); }
  [[nodiscard]] std::span<const Index> take_watched() { return watched_.take_in_order(links_); }
  [[nodiscard]] std::span<const Index> take_owing() { return owing_.take_in_order(links_); }

  [[nodiscard]] LinkContext& context() { return context_; }

private:
  using Links = std::vector<std::unique_ptr<Link>>;
  /// Links with something to do: each at most once, for which it has a flag.
  struct List {
    bool Link::*flag;
    std::vector<Index> gathering, taken;  // their room is used again
    void add(Entry entry);
    [[nodiscard]] std::span<const Index> take(const Links& links);
    [[nodiscard]] std::span<const Index> take_in_order(const Links& links);
  };

  LinkContext context_;
  Links links_;
  std::vector<Index> free_;
  boost::unordered_flat_map<ShardAddress, Index, std::hash<ShardAddress>> by_peer_;
  List dirty_{&Link::is_dirty, {}, {}};
  List watched_{&Link::is_watched, {}, {}};
  List owing_{&Link::is_account_listed, {}, {}};
  std::unordered_map<ShardAddress, Link::Inbound> remembered_;  // of links that were dropped
  std::deque<ShardAddress> remembered_order_;
};

}  // namespace wsr
