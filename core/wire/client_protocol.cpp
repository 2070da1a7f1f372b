#include "core/wire/client_protocol.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "core/wire/json_scan.hpp"

namespace wsr {
namespace {

constexpr std::size_t id_bytes_max = 64;
constexpr std::size_t cursor_bytes_max = 256;
constexpr std::size_t quoted_bytes_max = 64;  // of a client's own text in a sentence to it

// ---------------------------------------------------------------- the tables of the protocol

using Members = std::uint16_t;  // a set of the members below
constexpr Members op_member = 1, id_member = 2, to_member = 4, data_member = 8, room_member = 16, echo_member = 32,
                  presence_member = 64, cursor_member = 128, count_member = 256;

struct MemberSpec {
  Members bit;
  std::string_view name;
  std::string_view when_missing;  // what to do about it
};
constexpr MemberSpec members[] = {
    {op_member, "op", "name the command, such as ping or send"},
    {id_member, "id", "give the command an id"},
    {to_member, "to", "name the client to send to"},
    {data_member, "data", "give the JSON value to send"},
    {room_member, "room", "name the room"},
    {echo_member, "echo", "true or false"},
    {presence_member, "presence", "true or false"},
    {cursor_member, "cursor", "begin with \"0\""},
    {count_member, "count", "say how many"},
};

struct OpSpec {
  std::string_view name;
  Command::Op op;
  Members required;
};
constexpr OpSpec ops[] = {
    {"ping", Command::Op::ping, 0},
    {"send", Command::Op::send, to_member | data_member},
    {"join", Command::Op::join, room_member},
    {"leave", Command::Op::leave, room_member},
    {"push", Command::Op::push, room_member | data_member},
    {"members", Command::Op::members, room_member},
};

const MemberSpec* find_member(std::string_view name) {
  for (const auto& member : members) {
    if (member.name == name) return &member;
  }
  return nullptr;
}

/// `ping and send`, `ping, send and join`.
std::string op_names() {
  std::string names;
  for (std::size_t i = 0; i < std::size(ops); ++i) {
    if (i != 0) names += i + 1 == std::size(ops) ? " and " : ", ";
    names += ops[i].name;
  }
  return names;
}

void append_shortened(std::string& out, std::string_view text) {
  if (text.size() <= quoted_bytes_max) return append_json_string(out, text);
  std::size_t cut = quoted_bytes_max;
  while (cut != 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
  append_json_string(out, text.substr(0, cut));
  out += "...";
}

/// One command being read: members as they come, and the first thing found wrong with them. Scanning
/// goes on after that, so that the answer can carry the id that stands behind the mistake.
class CommandReader {
public:
  explicit CommandReader(std::string_view frame) : scanner_(frame) {}

  std::variant<Command, CommandError> read() {
    scanner_.skip_space();
    if (scanner_.is_at_end()) return bad_request(R"(the frame is empty: send one JSON object, such as {"op":"ping"})");
    if (!scanner_.take('{')) {
      if (!scanner_.value(0)) return bad_request(scanner_.sentence());
      return bad_request(R"(a command is one JSON object, such as {"op":"ping"})");
    }
    if (!object()) return bad_request(scanner_.sentence());
    if (!wrong_.empty()) return bad_request(std::move(wrong_));
    return finish();
  }

private:
  bool object() {
    scanner_.skip_space();
    if (!scanner_.take('}')) {
      for (;;) {
        JsonScanner::String name;
        if (!scanner_.name(name) || !member(name)) return false;
        scanner_.skip_space();
        if (scanner_.take('}')) break;
        if (!scanner_.take(',')) return scanner_.fail("expected a comma or } here");
        scanner_.skip_space();
      }
    }
    scanner_.skip_space();
    return scanner_.is_at_end() || scanner_.fail("more text after the command: send one command in a frame");
  }

  bool member(const JsonScanner::String& name) {
    const MemberSpec* spec = nullptr;
    if (!name.has_escapes) {
      spec = find_member(name.raw);
    } else if (const auto text = json_unescaped(name.raw)) {
      spec = find_member(*text);
    }
    if (spec == nullptr) return scanner_.value(1);
    if ((seen_ & spec->bit) != 0) complain("\"" + std::string(spec->name) + "\" is given twice");
    seen_ |= spec->bit;
    switch (spec->bit) {
      case op_member:
        return text(*spec, op_);
      case id_member:
        return text(*spec, command_.id) && check_id();
      case to_member:
        return text(*spec, command_.to);
      case room_member:
        return text(*spec, command_.room);
      case cursor_member:
        return text(*spec, command_.cursor) && check_cursor();
      case echo_member:
        return flag(*spec, command_.echo);
      case presence_member:
        return flag(*spec, command_.presence);
      case count_member:
        return count();
      default:
        return data();
    }
  }

  bool data() {
    const char* const first = scanner_.at();
    if (!scanner_.value(1)) return false;
    command_.data = {first, static_cast<std::size_t>(scanner_.at() - first)};
    return true;
  }

  bool flag(const MemberSpec& spec, bool& out) {
    const char* const first = scanner_.at();
    if (!scanner_.value(1)) return false;
    const std::string_view value(first, static_cast<std::size_t>(scanner_.at() - first));
    if (value != "true" && value != "false") complain("\"" + std::string(spec.name) + "\" must be true or false");
    out = value == "true";
    return true;
  }

  bool count() {
    const char* const first = scanner_.at();
    if (!scanner_.value(1)) return false;
    const auto [end, error] = std::from_chars(first, scanner_.at(), command_.count);
    if (error != std::errc{} || end != scanner_.at() || command_.count == 0 || command_.count > members_count_max) {
      complain("\"count\" must be a whole number from 1 to " + std::to_string(members_count_max));
    }
    return true;
  }

  bool check_cursor() {
    if (command_.cursor.is_set() && command_.cursor.view().size() > cursor_bytes_max) {
      complain("\"cursor\" is longer than any that an answer gave: begin with \"0\"");
    }
    return true;
  }

  bool text(const MemberSpec& spec, JsonText& out) {
    if (!scanner_.is_next('"')) {
      complain("\"" + std::string(spec.name) + "\" must be a string");
      return scanner_.value(1);
    }
    JsonScanner::String string;
    if (!scanner_.string(string)) return false;
    if (!string.has_escapes) {
      out = JsonText(string.raw);
    } else if (auto plain = json_unescaped(string.raw)) {
      out = JsonText(std::move(*plain));
    } else {
      complain("\"" + std::string(spec.name) + "\" contains half of a surrogate pair, which is no character");
    }
    return true;
  }

  bool check_id() {
    if (!command_.id.is_set()) return true;  // said already
    const auto size = command_.id.view().size();
    if (size == 0 || size > id_bytes_max) {
      complain("\"id\" must be a string of 1 to 64 bytes");
      command_.id = {};
    }
    return true;
  }

  std::variant<Command, CommandError> finish() {
    if ((seen_ & op_member) == 0) return missing(op_member);
    for (const auto& spec : ops) {
      if (spec.name != op_.view()) continue;
      for (const auto& member : members) {
        if ((spec.required & ~seen_ & member.bit) != 0) return missing(member.bit);
      }
      command_.op = spec.op;
      return std::move(command_);
    }
    std::string sentence = "unknown op ";
    append_shortened(sentence, op_.view());
    return CommandError{"unknown_op", sentence + ": this server knows " + op_names(), std::string(command_.id.view())};
  }

  CommandError missing(Members bit) {
    for (const auto& member : members) {
      if (member.bit != bit) continue;
      return bad_request("\"" + std::string(member.name) + "\" is missing: " + std::string(member.when_missing));
    }
    return bad_request("a member is missing");
  }

  void complain(std::string sentence) {
    if (wrong_.empty()) wrong_ = std::move(sentence);
  }

  CommandError bad_request(std::string sentence) const {
    return CommandError{"bad_request", std::move(sentence), std::string(command_.id.view())};
  }

  JsonScanner scanner_;
  Command command_;
  JsonText op_;
  Members seen_ = 0;
  std::string wrong_;
};

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out.append(",\"").append(name).append("\":");
  append_json_string(out, text);
}

void append_member(std::string& out, std::string_view name, std::uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
  out.append(",\"").append(name).append("\":").append(digits, end);
}

void append_list(std::string& out, std::string_view name, std::span<const std::string_view> texts) {
  out.append(",\"").append(name).append("\":[");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (i != 0) out.push_back(',');
    append_json_string(out, texts[i]);
  }
  out.push_back(']');
}

/// The beginning of an answer to a command about a room; its end is a brace.
void open_room_ok(std::string& out, std::string_view id, std::string_view room) {
  out.append(R"({"op":"ok")");
  if (!id.empty()) append_member(out, "id", id);
  append_member(out, "room", room);
}

}  // namespace

std::variant<Command, CommandError> parse_command(std::string_view frame) { return CommandReader(frame).read(); }

void append_welcome(std::string& out, std::string_view client, std::string_view server, std::string_view conn,
                    std::span<const std::string_view> rooms) {
  out.append(R"({"op":"welcome")");
  append_member(out, "client", client);
  append_member(out, "server", server);
  append_member(out, "conn", conn);
  if (!rooms.empty()) append_list(out, "rooms", rooms);
  out.push_back('}');
}

void append_message(std::string& out, std::string_view from, std::string_view data) {
  out.append(R"({"op":"message","from":)");
  append_json_string(out, from);
  out.append(R"(,"data":)").append(data).push_back('}');
}

void append_room_message(std::string& out, std::string_view room, std::string_view from, std::string_view data) {
  out.append(R"({"op":"room","room":)");
  append_json_string(out, room);
  out.append(R"(,"from":)");
  append_json_string(out, from);
  out.append(R"(,"data":)").append(data).push_back('}');
}

void append_presence(std::string& out, std::string_view room, std::string_view event, std::string_view client,
                     std::uint64_t size, std::uint64_t version) {
  out.append(R"({"op":"presence")");
  append_member(out, "room", room);
  append_member(out, "event", event);
  if (!client.empty()) append_member(out, "client", client);
  append_member(out, "size", size);
  append_member(out, "version", version);
  out.push_back('}');
}

void append_watching(std::string& out, std::string_view room) {
  out.append(R"({"op":"watching")");
  append_member(out, "room", room);
  out.push_back('}');
}

void append_dropped(std::string& out, std::uint64_t count, std::string_view reason) {
  out.append(R"({"op":"dropped")");
  append_member(out, "count", count);
  append_member(out, "reason", reason);
  out.push_back('}');
}

void append_joined(std::string& out, std::string_view id, std::string_view room, std::uint64_t size,
                   std::uint64_t version) {
  open_room_ok(out, id, room);
  append_member(out, "size", size);
  append_member(out, "version", version);
  out.push_back('}');
}

void append_rejoined(std::string& out, std::string_view room, std::uint64_t size, std::uint64_t version) {
  out.append(R"({"op":"rejoined")");
  append_member(out, "room", room);
  append_member(out, "size", size);
  append_member(out, "version", version);
  out.push_back('}');
}

void append_left(std::string& out, std::string_view id, std::string_view room, std::uint64_t size) {
  open_room_ok(out, id, room);
  append_member(out, "size", size);
  out.push_back('}');
}

void append_pushed(std::string& out, std::string_view id, std::string_view room, std::uint64_t servers,
                   std::uint64_t connections, std::uint64_t unknown) {
  open_room_ok(out, id, room);
  append_member(out, "servers", servers);
  append_member(out, "connections", connections);
  if (unknown != 0) append_member(out, "unknown", unknown);
  out.push_back('}');
}

void append_members(std::string& out, std::string_view id, std::string_view room,
                    std::span<const std::string_view> clients, std::string_view cursor, std::uint64_t size,
                    std::uint64_t version) {
  open_room_ok(out, id, room);
  append_list(out, "members", clients);
  append_member(out, "cursor", cursor);
  append_member(out, "size", size);
  append_member(out, "version", version);
  out.push_back('}');
}

void append_result(std::string& out, std::string_view id, std::string_view state, std::string_view reason) {
  out.append(R"({"op":"result")");
  append_member(out, "id", id);
  append_member(out, "state", state);
  if (!reason.empty()) append_member(out, "reason", reason);
  out.push_back('}');
}

void append_ok(std::string& out, std::string_view id) {
  out.append(R"({"op":"ok")");
  if (!id.empty()) append_member(out, "id", id);
  out.push_back('}');
}

void append_error(std::string& out, std::string_view id, std::string_view code, std::string_view message,
                  std::chrono::milliseconds retry_after) {
  out.append(R"({"op":"error")");
  if (!id.empty()) append_member(out, "id", id);
  append_member(out, "code", code);
  append_member(out, "message", message);
  if (retry_after.count() > 0) append_member(out, "retry_after_ms", static_cast<std::uint64_t>(retry_after.count()));
  out.push_back('}');
}

}  // namespace wsr
