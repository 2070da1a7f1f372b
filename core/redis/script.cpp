#include "core/redis/script.hpp"

#include <openssl/evp.h>

#include <array>
#include <utility>

#include "redis_scripts.hpp"

namespace wsr::redis {
namespace {

std::string sha1_hex(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha1(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < length; ++i) {
    hex.push_back("0123456789abcdef"[digest[i] >> 4]);
    hex.push_back("0123456789abcdef"[digest[i] & 15]);
  }
  return hex;
}

Script room_script(std::string_view operation) { return Script{std::string{lua::room_common}.append(operation)}; }
Script table_script(std::string_view operation) { return Script{std::string{lua::table_common}.append(operation)}; }

}  // namespace

Script::Script(std::string source) : text(std::move(source)), sha(sha1_hex(text)) {}

namespace scripts {

const Script claim{std::string{lua::claim}};
const Script renew{std::string{lua::renew}};
const Script register_server{std::string{lua::register_server}};
const Script index_add{std::string{lua::index_add}};
const Script sweep_begin{std::string{lua::sweep_begin}};
const Script sweep_page{std::string{lua::sweep_page}};
const Script sweep_row{std::string{lua::sweep_row}};
const Script sweep_end{std::string{lua::sweep_end}};
const Script room_join = room_script(lua::room_join);
const Script room_leave = room_script(lua::room_leave);
const Script room_drop = room_script(lua::room_drop);
const Script room_page = room_script(lua::room_page);
const Script room_info = room_script(lua::room_info);
const Script room_find = room_script(lua::room_find);
const Script client_join{std::string{lua::client_join}};
const Script client_replace{std::string{lua::client_replace}};
const Script client_leave{std::string{lua::client_leave}};
const Script client_sweep{std::string{lua::client_sweep}};
const Script rate_take{std::string{lua::rate_take}};
const Script counter_add_bounded{std::string{lua::counter_add_bounded}};
const Script table_declare{std::string{lua::table_declare}};
const Script table_set = table_script(lua::table_set);
const Script table_get = table_script(lua::table_get);
const Script table_del = table_script(lua::table_del);
const Script table_incr = table_script(lua::table_incr);
const Script table_compare_and_set = table_script(lua::table_compare_and_set);
const Script table_count = table_script(lua::table_count);
const Script table_page = table_script(lua::table_page);

std::span<const Script* const> all() {
  static constexpr std::array<const Script*, 28> list = {
      &client_replace,  &index_add,           &claim,         &renew,
      &register_server, &sweep_begin,         &sweep_page,    &sweep_row,
      &sweep_end,       &counter_add_bounded, &table_declare, &table_set,
      &table_get,       &table_del,           &table_incr,    &table_compare_and_set,
      &table_count,     &table_page,          &room_join,     &room_leave,
      &room_drop,       &room_page,           &room_info,     &room_find,
      &client_join,     &client_leave,        &client_sweep,  &rate_take};
  return list;
}

}  // namespace scripts

}  // namespace wsr::redis
