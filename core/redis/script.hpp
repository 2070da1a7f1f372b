// Script: a Lua script with its SHA1, as EVALSHA calls it. The texts are scripts/*.lua, compiled in.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace wsr::redis {

struct Script {
  std::string text;
  std::string sha;  // 40 hexadecimal digits

  explicit Script(std::string source);
};

namespace scripts {
extern const Script claim, renew, register_server, index_add, sweep_begin, sweep_page, sweep_row, sweep_end;
extern const Script room_join, room_leave, room_drop, room_page, room_info, room_find;
extern const Script client_join, client_replace, client_leave, client_sweep, rate_take;
extern const Script counter_add_bounded, table_declare;
extern const Script table_set, table_get, table_del, table_incr, table_compare_and_set, table_count, table_page;
/// Every script: loaded at each connect, so that the first call finds it.
[[nodiscard]] std::span<const Script* const> all();
}  // namespace scripts

}  // namespace wsr::redis
