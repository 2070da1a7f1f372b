#include "core/base/ids.hpp"

#include <algorithm>
#include <charconv>

#include "core/wire/utf8.hpp"

namespace wsr {
namespace {

bool is_control(unsigned char byte) { return byte < 0x20 || byte == 0x7F; }

bool is_server_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == ':' || c == '-';
}

bool is_incarnation_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

Error bad(std::string message) { return Error{Errc::bad_request, std::move(message)}; }

/// The rule for the names that applications choose; `what` opens the sentence.
Error check_name(std::string_view what, std::string_view text) {
  const std::string subject(what);
  if (text.empty()) return bad(subject + " is empty: give it 1 to 128 bytes");
  if (text.size() > name_bytes_max) {
    return bad(subject + " has " + std::to_string(text.size()) + " bytes: at most 128 are allowed");
  }
  if (std::any_of(text.begin(), text.end(), [](char c) { return is_control(static_cast<unsigned char>(c)); })) {
    return bad(subject + " contains a control character: use printable UTF-8");
  }
  if (!is_utf8(text)) return bad(subject + " is not valid UTF-8");
  return Error{Errc::ok, {}};
}

}  // namespace

Error ClientId::check(std::string_view text) { return check_name("a client id", text); }

Result<ClientId> ClientId::parse(std::string_view text) {
  if (auto error = check(text); error.code != Errc::ok) return error;
  return trusted(text);
}

ClientId ClientId::trusted(std::string_view text) {
  ClientId id;
  id.text_.assign(text);
  return id;
}

Error RoomName::check(std::string_view text) { return check_name("a room name", text); }

Result<RoomName> RoomName::parse(std::string_view text) {
  if (auto error = check(text); error.code != Errc::ok) return error;
  return trusted(text);
}

RoomName RoomName::trusted(std::string_view text) {
  RoomName name;
  name.text_.assign(text);
  return name;
}

Result<ServerId> ServerId::make(std::string_view name, std::string_view incarnation) {
  if (name.empty() || name.size() > server_name_bytes_max ||
      !std::all_of(name.begin(), name.end(), is_server_name_char)) {
    return bad("the server name \"" + std::string(name) + "\" is not 1 to 64 of A-Z a-z 0-9 . _ : -");
  }
  if (incarnation.empty() || incarnation.size() > 16 ||
      !std::all_of(incarnation.begin(), incarnation.end(), is_incarnation_char)) {
    return bad("the incarnation \"" + std::string(incarnation) + "\" is not 1 to 16 of a-z 0-9");
  }
  ServerId id;
  id.text_.reserve(name.size() + 1 + incarnation.size());
  id.text_.append(name).append(1, '~').append(incarnation);
  return id;
}

Result<ServerId> ServerId::parse(std::string_view text) {
  const auto tilde = text.find('~');
  if (tilde == std::string_view::npos) {
    return bad("\"" + std::string(text) + "\" is not a server id: it has the form name~incarnation");
  }
  return make(text.substr(0, tilde), text.substr(tilde + 1));
}

ServerId ServerId::trusted(std::string_view text) {
  ServerId id;
  id.text_.assign(text);
  return id;
}

std::string_view ServerId::name() const { return view().substr(0, text_.find('~')); }

std::string_view ServerId::incarnation() const {
  const auto tilde = text_.find('~');
  return tilde == std::string::npos ? std::string_view{} : view().substr(tilde + 1);
}

std::string make_incarnation(std::uint64_t random_bits) {
  static constexpr std::string_view digits = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string text(12, '0');  // 36^12 = 2^62: hardly a bit of the randomness is lost
  for (char& c : text) {
    c = digits[random_bits % digits.size()];
    random_bits /= digits.size();
  }
  return text;
}

std::optional<Attachment> Attachment::parse(std::string_view text) {
  const auto second = text.rfind('/');
  if (second == std::string_view::npos || second == 0) return std::nullopt;
  const auto first = text.rfind('/', second - 1);
  if (first == std::string_view::npos) return std::nullopt;
  const auto shard_text = text.substr(first + 1, second - first - 1);
  const auto conn_text = text.substr(second + 1);
  auto server = ServerId::parse(text.substr(0, first));
  if (!server.has_value()) return std::nullopt;
  Attachment at;
  at.server = std::move(*server);
  const auto shard = std::from_chars(shard_text.data(), shard_text.data() + shard_text.size(), at.shard);
  if (shard.ec != std::errc{} || shard.ptr != shard_text.data() + shard_text.size()) return std::nullopt;
  const auto conn = std::from_chars(conn_text.data(), conn_text.data() + conn_text.size(), at.conn.value, 16);
  if (conn.ec != std::errc{} || conn.ptr != conn_text.data() + conn_text.size()) return std::nullopt;
  return at;
}

std::string Attachment::str() const {
  char digits[16];
  std::string text;
  text.reserve(server.str().size() + 24);
  text.append(server.str()).append(1, '/');
  auto end = std::to_chars(digits, digits + sizeof digits, shard).ptr;
  text.append(digits, end).append(1, '/');
  end = std::to_chars(digits, digits + sizeof digits, conn.value, 16).ptr;
  return text.append(digits, end);
}

}  // namespace wsr
