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

void LinkTable::touch(Entry entry) {
  if (!std::exchange(entry.link.is_dirty, true)) dirty_.gathering.push_back(entry.index);
}

void LinkTable::watch(Entry entry) {
  if (!std::exchange(entry.link.is_watched, true)) watched_.gathering.push_back(entry.index);
}

void LinkTable::owe_account(Entry entry) {
  if (!std::exchange(entry.link.is_account_listed, true)) owing_.gathering.push_back(entry.index);
}

std::span<const LinkTable::Index> LinkTable::List::take() {
  taken.clear();
  taken.swap(gathering);
  return taken;
}

std::span<const LinkTable::Index> LinkTable::take_dirty() {
  const auto dirty = dirty_.take();
  for (const Index index : dirty) {
    if (links_[index]) links_[index]->is_dirty = false;
  }
  return dirty;
}

std::span<const LinkTable::Index> LinkTable::take_watched() {
  std::sort(watched_.gathering.begin(), watched_.gathering.end());
  const auto watched = watched_.take();
  for (const Index index : watched) {
    if (links_[index]) links_[index]->is_watched = false;
  }
  return watched;
}

std::span<const LinkTable::Index> LinkTable::take_owing() {
  std::sort(owing_.gathering.begin(), owing_.gathering.end());
  const auto owing = owing_.take();
  for (const Index index : owing) {
    if (links_[index]) links_[index]->is_account_listed = false;
  }
  return owing;
}

}  // namespace wsr
