// Sweep: removes the owner rows that one server left behind, page by page along its index.
//
//   begin (lock) ──▶ page ──▶ read rows ──▶ remove rows, then their entries ──▶ page ... ──▶ unregister ──▶ end
//   (unlock)
//                      └── the lock is lost or the server is back: conflict, with what was removed so far
//
// While the lock stands the server cannot renew. Each row is removed only if it is still the one that was read.
//
// Cost: O(entries in that server's index), pipelined: three round trips for page_entries of them.
// Errors: conflict, unavailable, timeout. The lock ends by itself, and a sweep can be made again at any point.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/redis/connection.hpp"
#include "core/redis/keys.hpp"

namespace wsr::redis {

class Sweep : public std::enable_shared_from_this<Sweep> {
public:
  static constexpr std::string_view page_entries = "500";  // a script's work stays below a millisecond
  static constexpr std::string_view lock_ms = "5000";      // many times what a page needs

  static void run(Connection& connection, const Keys& keys, const ServerId& dead, const ServerId& by,
                  std::function<void(Swept)> done);
  Sweep(Connection& connection, const Keys& keys, ServerId dead, ServerId by, std::function<void(Swept)> done);

private:
  struct Row {
    IndexEntry entry;
    std::string member;  // the entry as it stands in the index
    std::string value;   // empty: there is no such row
    bool is_gone = false;
  };

  void begin();
  void next_page();
  void read_rows(const Reply& page);
  void remove_rows();
  void remove_entries();
  void finish();
  void end(Errc result);

  Connection& connection_;
  const Keys& keys_;
  ServerId dead_, by_;
  std::function<void(Swept)> done_;
  std::string lease_key_, lock_key_, index_key_;
  std::string cursor_ = "0";
  std::vector<Row> rows_;  // of this page
  std::uint64_t removed_ = 0;
};

}  // namespace wsr::redis
