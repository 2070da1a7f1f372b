#include "core/wire/client_protocol.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace wsr;

namespace {

Command taken(std::string_view frame) {
  auto parsed = parse_command(frame);
  if (const auto* error = std::get_if<CommandError>(&parsed)) FAIL(frame << ": " << error->message);
  return std::get<Command>(std::move(parsed));
}
CommandError refused(std::string_view frame) {
  auto parsed = parse_command(frame);
  if (std::holds_alternative<Command>(parsed)) FAIL(frame << " was taken");
  return std::get<CommandError>(std::move(parsed));
}
std::string why(std::string_view frame) { return refused(frame).message; }
bool mentions(const std::string& sentence, std::string_view words) { return sentence.find(words) != std::string::npos; }

template <class Append, class... Texts>
std::string written(Append append, Texts... texts) {
  std::string out;
  append(out, texts...);
  return out;
}

std::string error_text(std::string_view id, std::string_view code, std::string_view message) {
  std::string out;
  append_error(out, id, code, message);
  return out;
}

}  // namespace

TEST_CASE("a send is read: to, data and id") {
  const std::string frame = R"({"op":"send","to":"bob","data":"hi","id":"c1"})";
  const auto command = taken(frame);
  CHECK(command.op == Command::Op::send);
  CHECK(command.to.view() == "bob");
  CHECK(command.data == "\"hi\"");
  CHECK(command.id.view() == "c1");
}

TEST_CASE("a ping is read, with an id and without") {
  CHECK(taken(R"({"op":"ping"})").op == Command::Op::ping);
  CHECK_FALSE(taken(R"({"op":"ping"})").id.is_set());
  CHECK(taken(R"({"op":"ping","id":"7"})").id.view() == "7");
}

TEST_CASE("what holds no escape is borrowed from the frame, not copied") {
  const std::string frame = R"({"op":"send","to":"bob","data":[1, 2]})";
  const auto command = taken(frame);
  CHECK(command.to.view().data() == frame.data() + frame.find("bob"));
  CHECK(command.data.data() == frame.data() + frame.find("[1"));
}

TEST_CASE("data is kept byte for byte, without the space around it") {
  for (const std::string_view data :
       {R"({ "n" : 9007199254740993,"e":{} })", "1.0e+0", "-0", "\"\\u0041\\ud83d\"", "[ 1 ,\n2 ]", "null", "\"\"",
        "100000000000000000000000000000000000001", "{\"a\":1,\"a\":2}", "\"\xC3\xA9\""}) {
    const std::string frame = "{\"op\":\"send\",\"to\":\"bob\",\"data\" : \t" + std::string(data) + " \r\n}";
    CHECK(taken(frame).data == data);
  }
}

TEST_CASE("members may come in any order, with any space, and unknown ones are ignored") {
  const auto command =
      taken(" {\n\t\"data\" : 1 , \"x\":{\"op\":\"ping\"}, \"to\":\"b\",\"y\":[[]],\"op\" :\"send\" } \r\n");
  CHECK(command.op == Command::Op::send);
  CHECK(command.data == "1");
}

TEST_CASE("escapes are undone in op, to, id and in members' names") {
  const std::string frame =
      R"({"\u006fp":"s\u0065nd","to":"\"\\\/\b\f\n\r\t\u00e9\u20AC\ud83d\ude00","data":0,"id":"\u0041"})";
  const auto command = taken(frame);
  CHECK(command.op == Command::Op::send);
  CHECK(command.to.view() == "\"\\/\b\f\n\r\t\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  CHECK(command.id.view() == "A");
}

TEST_CASE("an escaped text stays valid when its command is moved") {
  auto command = taken(R"({"op":"send","to":"\u0061\u0062","data":0})");
  const Command moved = std::move(command);
  CHECK(moved.to.view() == "ab");
}

TEST_CASE("half a surrogate pair is refused where it would have to become text") {
  for (const std::string_view half : {R"(\ud800)", R"(\udc00)", R"(\ud800\u0041)", R"(\ud800x)", R"(\ud800\ud800)"}) {
    CHECK(mentions(why(R"({"op":"send","data":1,"to":")" + std::string(half) + "\"}"), "surrogate"));
    CHECK(mentions(why(R"({"op":"ping","id":")" + std::string(half) + "\"}"), "surrogate"));
    CHECK(mentions(why(R"({"op":")" + std::string(half) + "\"}"), "surrogate"));
  }
  CHECK(taken(R"({"op":"ping","\ud800":1})").op == Command::Op::ping);  // some unknown member's name
}

TEST_CASE("an unknown op is refused by name, with what the server knows") {
  const auto error = refused(R"({"op":"snd","id":"a"})");
  CHECK(error.code == "unknown_op");
  CHECK(error.message == R"(unknown op "snd": this server knows ping, send, join, leave, push and members)");
  CHECK(error.id == "a");
}

TEST_CASE("a long unknown op is quoted in part, cut between characters") {
  std::string op = "x";
  while (op.size() < 500) op += "\xE2\x82\xAC";
  const auto message = why("{\"op\":\"" + op + "\"}");
  CHECK(message.size() < 150);
  CHECK(mentions(message, "\xE2\x82\xAC\"..."));
}

TEST_CASE("a missing member is named, with what to do") {
  CHECK(why("{}") == R"("op" is missing: name the command, such as ping or send)");
  CHECK(why(R"({"op":"send","data":1})") == R"("to" is missing: name the client to send to)");
  CHECK(why(R"({"op":"send","to":"bob"})") == R"("data" is missing: give the JSON value to send)");
  CHECK(refused(R"({"op":"send","to":"bob"})").code == "bad_request");
}

TEST_CASE("op, to and id must be strings") {
  CHECK(why(R"({"op":1})") == R"("op" must be a string)");
  CHECK(why(R"({"op":"send","to":["bob"],"data":1})") == R"("to" must be a string)");
  CHECK(why(R"({"op":"ping","id":7})") == R"("id" must be a string)");
  CHECK(why(R"({"op":"ping","id":null})") == R"("id" must be a string)");
}

TEST_CASE("an id has 1 to 64 bytes") {
  CHECK(taken(R"({"op":"ping","id":")" + std::string(64, 'i') + "\"}").id.view().size() == 64);
  for (const std::size_t size : {0, 65}) {
    const auto error = refused(R"({"op":"ping","id":")" + std::string(size, 'i') + "\"}");
    CHECK(error.message == R"("id" must be a string of 1 to 64 bytes)");
    CHECK(error.id.empty());
  }
}

TEST_CASE("a known member twice is refused, an unknown one is not") {
  CHECK(why(R"({"op":"ping","op":"ping"})") == R"("op" is given twice)");
  CHECK(why(R"({"op":"send","to":"a","data":1,"data":2})") == R"("data" is given twice)");
  CHECK(why(R"({"op":"send","to":"a","\u0074o":"b","data":1})") == R"("to" is given twice)");
  CHECK(taken(R"({"op":"ping","x":1,"x":2})").op == Command::Op::ping);
}

TEST_CASE("an error carries the id wherever it stands, unless the text breaks before it") {
  CHECK(refused(R"({"op":7,"to":1,"id":"late"})").id == "late");
  CHECK(refused(R"({"id":"early","op":"ping",})").id == "early");
  CHECK(refused(R"({"op":"ping",,"id":"never"})").id.empty());
}

TEST_CASE("what is not JSON is told with its place") {
  CHECK(why(R"({"op":"ping)") == "not valid JSON at byte 11: a string has no closing quote");
  CHECK(why(R"({"op" "ping"})") == "not valid JSON at byte 6: expected a colon after a member's name");
  CHECK(why(R"({"op":"ping",})") == "not valid JSON at byte 13: expected a member's name in double quotes");
  CHECK(why(R"({"op":"ping"} {})") ==
        "not valid JSON at byte 14: more text after the command: send one command in a frame");
  CHECK(why("{op:ping}") == "not valid JSON at byte 1: expected a member's name in double quotes");
  CHECK(why("hello") == "not valid JSON at byte 0: expected a JSON value");
  CHECK(why(R"({"op":"send","to":"b","data":01})") == "not valid JSON at byte 30: a number must not begin with 0");
  CHECK(why("{\"op\":\"pi\nng\"}") == "not valid JSON at byte 9: a control character in a string must be escaped");
  CHECK(why(R"({"op":"\x"})") == "not valid JSON at byte 7: an unknown escape in a string");
}

TEST_CASE("what is JSON but no object is told how a command looks") {
  for (const std::string_view frame : {"1", "\"ping\"", "[]", "null", "[{\"op\":\"ping\"}]"}) {
    CHECK(why(frame) == R"(a command is one JSON object, such as {"op":"ping"})");
  }
  CHECK(mentions(why(""), "the frame is empty"));
  CHECK(mentions(why(" \n"), "the frame is empty"));
}

TEST_CASE("a send cut off at any byte is refused") {
  const std::string frame = R"({"op":"send","to":"b\u0041b","data":{"a":[1.5e3,true,null,"x\n"]},"id":"1"})";
  CHECK(taken(frame).to.view() == "bAb");
  for (std::size_t size = 0; size < frame.size(); ++size) CHECK(refused(frame.substr(0, size)).code == "bad_request");
}

TEST_CASE("a command's value may stand 63 levels deep in it, not 64") {
  const auto nested = [](std::size_t depth) {
    return R"({"op":"send","to":"b","data":)" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  CHECK(taken(nested(63)).data.size() == 126);
  CHECK(mentions(why(nested(64)), "more than 64 levels"));
  CHECK(mentions(why(nested(100'000)), "more than 64 levels"));
}

// ---------------------------------------------------------------- what the server says

TEST_CASE("texts are written as JSON strings that scan back") {
  std::string all = "\xC3\xA9\xF0\x9F\x98\x80";
  for (int c = 0; c < 0x80; ++c) all.push_back(static_cast<char>(c));
  std::string json;
  append_json_string(json, all);
  CHECK(is_json_value(json));
  CHECK(taken(R"({"op":"send","data":0,"to":)" + json + "}").to.view() == all);
  CHECK(written(append_json_string, "a\"\\\n\t\r\x01z") == R"("a\"\\\n\t\r\u0001z")");
  CHECK(written(append_json_string, "") == "\"\"");
}

TEST_CASE("answers have the form of the protocol") {
  CHECK(written(append_welcome, "ada", "a~1", "0/1", std::span<const std::string_view>{}) ==
        R"({"op":"welcome","client":"ada","server":"a~1","conn":"0/1"})");
  CHECK(written(append_message, "a\"da", "{ \"n\" : 1 }") == R"({"op":"message","from":"a\"da","data":{ "n" : 1 }})");
  CHECK(written(append_result, "c1", "delivered", "") == R"({"op":"result","id":"c1","state":"delivered"})");
  CHECK(written(append_result, "c1", "dropped", "too_big") ==
        R"({"op":"result","id":"c1","state":"dropped","reason":"too_big"})");
  CHECK(written(append_ok, "") == R"({"op":"ok"})");
  CHECK(written(append_ok, "p") == R"({"op":"ok","id":"p"})");
  CHECK(error_text("", "bad_request", "no") == R"({"op":"error","code":"bad_request","message":"no"})");
  CHECK(error_text("7", "bad_request", "say \"x\"") ==
        R"({"op":"error","id":"7","code":"bad_request","message":"say \"x\""})");
}

TEST_CASE("commands about rooms carry their room, and what is optional has its default") {
  const auto join = taken(R"({"op":"join","room":"chat:room:42","id":"j1"})");
  CHECK(join.op == Command::Op::join);
  CHECK(join.room.view() == "chat:room:42");
  CHECK(join.presence);
  CHECK_FALSE(taken(R"({"op":"join","room":"r","presence":false})").presence);
  CHECK(taken(R"({"op":"leave","room":"r"})").op == Command::Op::leave);
  const auto push = taken(R"({"op":"push","room":"r","data":{"op":"leave","room":"x"}})");
  CHECK(push.op == Command::Op::push);
  CHECK(push.data == R"({"op":"leave","room":"x"})");
  CHECK(push.echo);
  CHECK_FALSE(taken(R"({"op":"push","room":"r","data":1,"echo":false})").echo);
  const auto members = taken(R"({"op":"members","room":"r"})");
  CHECK(members.op == Command::Op::members);
  CHECK_FALSE(members.cursor.is_set());
  CHECK(members.count == 100);
  CHECK(taken(R"({"op":"members","room":"r","cursor":">bob","count":1000})").count == 1'000);
}

TEST_CASE("a wrong member of a room's command is named, with what it must be") {
  CHECK(why(R"({"op":"join"})") == R"("room" is missing: name the room)");
  CHECK(why(R"({"op":"push","room":"r"})") == R"("data" is missing: give the JSON value to send)");
  CHECK(why(R"({"op":"join","room":7})") == R"("room" must be a string)");
  CHECK(why(R"({"op":"push","room":"r","data":1,"echo":1})") == R"("echo" must be true or false)");
  CHECK(why(R"({"op":"join","room":"r","presence":"no"})") == R"("presence" must be true or false)");
  for (const std::string_view count : {"0", "1001", "-1", "1.5", "1e2", "\"7\"", "99999999999999999999", "null"}) {
    CHECK(why(R"({"op":"members","room":"r","count":)" + std::string(count) + "}") ==
          R"("count" must be a whole number from 1 to 1000)");
  }
  CHECK(mentions(why(R"({"op":"members","room":"r","cursor":")" + std::string(257, 'c') + "\"}"), "begin with"));
  CHECK(why(R"({"op":"join","room":"r","room":"s"})") == R"("room" is given twice)");
}

TEST_CASE("what a server says about rooms is one JSON object each, with the payload byte for byte") {
  std::string out;
  append_room_message(out, "a \"b\"", "ada", R"({ "n" : 1.0 })");
  CHECK(out == R"({"op":"room","room":"a \"b\"","from":"ada","data":{ "n" : 1.0 }})");
  out.clear();
  append_presence(out, "r", "join", "carol", 4, 9'007'199'254'740'991);
  CHECK(out == R"({"op":"presence","room":"r","event":"join","client":"carol","size":4,"version":9007199254740991})");
  out.clear();
  append_presence(out, "r", "count", {}, 4, 5);
  CHECK(out == R"({"op":"presence","room":"r","event":"count","size":4,"version":5})");
  out.clear();
  append_dropped(out, 17, "slow_consumer");
  CHECK(out == R"({"op":"dropped","count":17,"reason":"slow_consumer"})");
  out.clear();
  append_joined(out, "j1", "r", 3, 7);
  CHECK(out == R"({"op":"ok","id":"j1","room":"r","size":3,"version":7})");
  out.clear();
  append_rejoined(out, "r", 3, 7);
  CHECK(out == R"({"op":"rejoined","room":"r","size":3,"version":7})");
  out.clear();
  append_left(out, {}, "r", 2);
  CHECK(out == R"({"op":"ok","room":"r","size":2})");
  out.clear();
  append_pushed(out, "p", "r", 2, 5, 0);
  CHECK(out == R"({"op":"ok","id":"p","room":"r","servers":2,"connections":5})");
  out.clear();
  append_pushed(out, "p", "r", 2, 5, 1);
  CHECK(out == R"({"op":"ok","id":"p","room":"r","servers":2,"connections":5,"unknown":1})");
  out.clear();
  const std::string_view names[] = {"ada", "b\"b"};
  append_members(out, "m", "r", names, "0", 2, 7);
  CHECK(out == R"({"op":"ok","id":"m","room":"r","members":["ada","b\"b"],"cursor":"0","size":2,"version":7})");
  out.clear();
  append_members(out, "m", "r", {}, "0", 0, 0);
  CHECK(out == R"({"op":"ok","id":"m","room":"r","members":[],"cursor":"0","size":0,"version":0})");
  out.clear();
  append_welcome(out, "ada", "a~1", "0/1", names);
  CHECK(out == R"({"op":"welcome","client":"ada","server":"a~1","conn":"0/1","rooms":["ada","b\"b"]})");
}

TEST_CASE("a plain value is JSON that any parser of values takes") {
  for (const char* good : {"1", " [1.5e308, -0, 1e-99999] ", R"("\ud83d\ude00")", R"({"\u0061":"\uFFFF"})", "null"}) {
    INFO(good);
    CHECK(is_plain_json_value(good));
  }
  for (const char* bad : {R"("\ud800")", R"("\udc00")", R"("\ud800x")", R"("\ud800\u0041")", R"("\ude00\ud83d")",
                          R"({"\ud800":1})", R"([[{"a":"\ud800"}]])", "1e400", "-1e99999", "[1,2,1e309]", "\xff",
                          "\"\xed\xa0\x80\"", "", "01", "[1,]", "nul"}) {
    INFO(bad);
    CHECK_FALSE(is_plain_json_value(bad));
  }
  CHECK_FALSE(is_plain_json_value(std::string(400, '9')));
  CHECK(is_json_value(R"("\ud800")"));  // by the grammar alone
  CHECK(is_plain_json_value(std::string(64, '[') + std::string(64, ']')));
  CHECK_FALSE(is_plain_json_value(std::string(65, '[') + std::string(65, ']')));
}

TEST_CASE("a walk gives members and elements as they stand, one by one") {
  JsonWalk walk(R"( { "a" : [1, "}"] ,"b\"":"\"," , "c":{"d":{}},"e":-1e5 } )");
  REQUIRE(walk.kind() == JsonWalk::Kind::object);
  std::string all;
  std::string_view name, value;
  while (walk.next(name, value)) all += std::string(name) + "=" + std::string(value) + ";";
  CHECK(all == R"("a"=[1, "}"];"b\""="\",";"c"={"d":{}};"e"=-1e5;)");
  CHECK_FALSE(walk.next(name, value));
  JsonWalk list("[ 1 , [2] ]");
  REQUIRE(list.kind() == JsonWalk::Kind::array);
  REQUIRE(list.next(name, value));
  CHECK(value == "1");
  REQUIRE(list.next(name, value));
  CHECK(value == "[2]");
  CHECK_FALSE(list.next(name, value));
  for (const char* empty : {"[]", "{ }", "1", "\"[1]\""}) {
    JsonWalk none(empty);
    CHECK_FALSE(none.next(name, value));
  }
}

TEST_CASE("a JSON string says its text, half of a surrogate pair says none") {
  CHECK(json_string(R"("a\u00e9\n")") == "a\xc3\xa9\n");
  CHECK(json_string(R"("\ud83d\ude00")") == "\xf0\x9f\x98\x80");
  CHECK(json_string("\"\"") == "");
  for (const char* none : {R"("\ud800")", "1", "null", "[\"a\"]", "", "\""}) CHECK_FALSE(json_string(none));
}

TEST_CASE("what ends plain text is found at every place of a long string") {
  for (std::size_t size : {1U, 7U, 8U, 15U, 16U, 17U, 31U, 33U, 48U, 70U}) {
    for (std::size_t at = 0; at < size; ++at) {
      for (const char special : {'"', '\\', '\n', '\x01', '\x1f'}) {
        std::string text(size, '\x20');
        for (std::size_t i = 0; i < size; ++i)
          text[i] = static_cast<char>(i % 3 == 0 ? ' ' : i % 3 == 1 ? '!' : '\x7f');
        text[at] = special;
        std::string json;
        append_json_string(json, text);
        REQUIRE(json.size() > size + 2);
        REQUIRE(json_string(json) == text);
        REQUIRE_FALSE(is_json_value("\"" + text + "\""));  // unescaped
      }
    }
  }
  std::string high;
  for (int i = 0; i < 40; ++i) high += "\xc3\xa4\xf0\x9f\x98\x80";
  std::string json;
  append_json_string(json, high);
  CHECK(json == "\"" + high + "\"");
  CHECK(is_json_value(json));
}
