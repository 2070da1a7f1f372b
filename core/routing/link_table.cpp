#include "core/routing/link_table.hpp"

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

void LinkTable::touch(Entry entry) {
  if (entry.link.is_dirty) return;
  entry.link.is_dirty = true;
  dirty_.push_back(entry.index);
}

std::vector<LinkTable::Index> LinkTable::take_dirty() {
  std::vector<Index> dirty = std::exchange(dirty_, {});
  for (const Index index : dirty) {
    if (links_[index]) links_[index]->is_dirty = false;
  }
  return dirty;
}

}  // namespace wsr
