#include "core/redis/sweep.hpp"

#include <utility>

#include "core/redis/batch.hpp"

namespace wsr::redis {

void Sweep::run(Connection& connection, const Keys& keys, const ServerId& dead, const ServerId& by,
                std::function<void(Swept)> done) {
  std::make_shared<Sweep>(connection, keys, dead, by, std::move(done))->begin();
}

Sweep::Sweep(Connection& connection, const Keys& keys, ServerId dead, ServerId by, std::function<void(Swept)> done)
    : connection_(connection),
      keys_(keys),
      dead_(std::move(dead)),
      by_(std::move(by)),
      done_(std::move(done)),
      lease_key_(keys.lease(dead_)),
      lock_key_(keys.sweep(dead_)),
      index_key_(keys.index(dead_)) {}

void Sweep::begin() {
  connection_.eval(scripts::sweep_begin, {lease_key_, lock_key_}, {by_.view(), lock_ms},
                   [self = shared_from_this()](const Reply& reply) {
                     if (reply.result() != Errc::ok) return self->end(reply.result());
                     if (reply.integer() != 1) return self->end(Errc::conflict);
                     self->next_page();
                   });
}

void Sweep::next_page() {
  connection_.eval(scripts::sweep_page, {lease_key_, lock_key_, index_key_},
                   {by_.view(), lock_ms, cursor_, page_entries}, [self = shared_from_this()](const Reply& reply) {
                     if (reply.result() != Errc::ok) return self->end(reply.result());
                     if (reply.size() != 2) return self->end(Errc::conflict);
                     self->read_rows(reply);
                   });
}

void Sweep::read_rows(const Reply& page) {
  cursor_ = page[0].text();
  rows_.clear();
  const Reply members = page[1];
  for (std::size_t i = 0; i < members.size(); ++i) {
    const auto member = members[i].text();
    auto entry = parse_index_entry(dead_, member);
    // What nobody of us has written is not ours to follow; it goes with the index.
    if (entry) rows_.push_back({std::move(*entry), std::string{member}, {}, false});
  }
  if (rows_.empty()) return remove_entries();
  auto batch = std::make_shared<Batch>([self = shared_from_this()](Errc result) {
    if (result != Errc::ok) return self->end(result);
    self->remove_rows();
  });
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const IndexEntry& entry = rows_[i].entry;
    connection_.send({"HGET", keys_.own(entry.client), entry.at.str()},
                     batch->each([self = shared_from_this(), i](const Reply& reply) {
                       self->rows_[i].value = reply.text();
                       self->rows_[i].is_gone = reply.is_nil();
                     }));
  }
}

void Sweep::remove_rows() {
  auto batch = std::make_shared<Batch>([self = shared_from_this()](Errc result) {
    if (result != Errc::ok) return self->end(result);
    self->remove_entries();
  });
  bool is_any = false;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const Row& row = rows_[i];
    if (row.is_gone) continue;
    is_any = true;
    connection_.eval(scripts::sweep_row, {keys_.own(row.entry.client)}, {row.entry.at.str(), row.value},
                     batch->each([self = shared_from_this(), i](const Reply& reply) {
                       if (reply.integer() != 1) return;  // asserted again meanwhile: the row and its entry stay
                       self->rows_[i].is_gone = true;
                       ++self->removed_;
                     }));
  }
  if (!is_any) remove_entries();
}

void Sweep::remove_entries() {
  std::vector<std::string_view> words{"SREM", index_key_};
  for (const Row& row : rows_) {
    if (row.is_gone) words.push_back(row.member);
  }
  if (words.size() > 2) connection_.send(words, {});
  if (cursor_ != "0") return next_page();
  finish();
}

void Sweep::finish() {
  // Out of the registry while the lock still keeps the server from renewing, so it cannot be a living one that goes.
  auto batch = std::make_shared<Batch>([self = shared_from_this()](Errc result) { self->end(result); });
  connection_.send({"ZREM", keys_.servers(), dead_.view()}, batch->each());
  connection_.eval(scripts::sweep_end, {lock_key_}, {by_.view()}, batch->each());
}

void Sweep::end(Errc result) { std::exchange(done_, nullptr)({result, removed_}); }

}  // namespace wsr::redis
