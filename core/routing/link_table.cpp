#include "core/routing/link_table.hpp"

#include <algorithm>
#include <utility>

namespace wsr {

LinkTable::Entry LinkTable::to(const ShardAddress& peer) {
  if (const auto known = by_peer_.find(peer); known != by_peer_.end()) return {known->second, *links_[known->second]};
  Index index = end();
  if (free_.empty()) {
    links_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  links_[index] = std::make_unique<Link>(context_, peer);
  if (const auto known = remembered_.find(peer); known != remembered_.end()) links_[index]->resume(known->second);
  by_peer_.emplace(peer, index);
  return {index, *links_[index]};
}

Link* LinkTable::find(const ShardAddress& peer) {
  const auto known = by_peer_.find(peer);
  return known == by_peer_.end() ? nullptr : links_[known->second].get();
}

void LinkTable::drop(Index index) {
  const ShardAddress& peer = links_[index]->peer();
  if (remembered_.insert_or_assign(peer, links_[index]->inbound()).second) {
    remembered_order_.push_back(peer);
    if (remembered_order_.size() > remembered_max) {
      remembered_.erase(remembered_order_.front());
      remembered_order_.pop_front();
    }
  }
  by_peer_.erase(peer);
  links_[index].reset();
  free_.push_back(index);
}

void LinkTable::List::add(Entry entry) {
  if (!std::exchange(entry.link.*flag, true)) gathering.push_back(entry.index);
}

std::span<const LinkTable::Index> LinkTable::List::take(const Links& links) {
  taken.clear();
  taken.swap(gathering);
  for (const Index index : taken) {
    if (links[index]) links[index].get()->*flag = false;
  }
  return taken;
}

std::span<const LinkTable::Index> LinkTable::List::take_in_order(const Links& links) {
  std::sort(gathering.begin(), gathering.end());
  return take(links);
}

}  // namespace wsr
