#include "cli/room.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace wsr;
using namespace wsr::cli;
using Verb = RoomOptions::Verb;

namespace {

RoomOptions parsed(std::vector<std::string> args) {
  CLI::App app;
  RoomOptions options;
  add_room(app, options);
  args.insert(args.begin(), "room");
  std::reverse(args.begin(), args.end());
  app.parse(args);
  return options;
}

RoomPushed pushed(std::uint64_t connections, std::uint64_t servers, std::uint64_t unknown = 0) {
  return {Errc::ok, servers, connections, unknown, {}, {}};
}
RoomPushed refused(Errc result, std::string detail) { return {result, 0, 0, 0, {}, std::move(detail)}; }
RoomDone done(Errc result) { return {result, 0, 0, {}}; }

}  // namespace

TEST_CASE("the verbs of room and their arguments") {
  CHECK(parsed({}).verb == Verb::list);
  CHECK(parsed({"list"}).verb == Verb::list);
  CHECK(parsed({"size", "chat:room:42"}).verb == Verb::size);
  CHECK(parsed({"size", "chat:room:42"}).room == "chat:room:42");
  CHECK(parsed({"members", "lobby"}).verb == Verb::members);
  CHECK(parsed({"watch", "lobby"}).verb == Verb::watch);
  for (const auto& [name, verb] :
       {std::pair{"is-member", Verb::is_member}, {"join", Verb::join}, {"leave", Verb::leave}}) {
    const auto options = parsed({name, "lobby", "alice"});
    CHECK(options.verb == verb);
    CHECK(options.room == "lobby");
    CHECK(options.client == "alice");
    CHECK_THROWS_AS(parsed({name, "lobby"}), CLI::ParseError);
    CHECK_THROWS_AS(parsed({name, "lobby", "alice", "bob"}), CLI::ParseError);
  }
  CHECK_THROWS_AS(parsed({"size"}), CLI::ParseError);
  CHECK_THROWS_AS(parsed({"nothing"}), CLI::ParseError);
}

TEST_CASE("what holds for every verb stands before it or behind it") {
  CHECK(parsed({"--json", "size", "lobby"}).json);
  CHECK(parsed({"size", "lobby", "--json"}).json);
  CHECK(parsed({"watch", "lobby", "--server", "http://127.0.0.1:1"}).fabric.server == "http://127.0.0.1:1");
  CHECK(parsed({"--store", "redis://127.0.0.1:1", "list"}).fabric.store == "redis://127.0.0.1:1");
}

TEST_CASE("listings come whole, or from a page on") {
  CHECK(parsed({"members", "lobby"}).count == 0);
  CHECK(parsed({"members", "lobby"}).cursor.empty());
  CHECK(parsed({"members", "lobby", "--page", ">bob", "--count", "5"}).cursor == ">bob");
  CHECK(parsed({"members", "lobby", "--page", ">bob", "--count", "5"}).count == 5);
  CHECK(parsed({"list", "--count", "1000"}).count == 1'000);
  CHECK_THROWS_AS(parsed({"list", "--count", "0"}), CLI::ParseError);
  CHECK_THROWS_AS(parsed({"members", "lobby", "--count", "1001"}), CLI::ParseError);
}

TEST_CASE("a pushed text is one word, also when it looks like something else") {
  const auto options = parsed({"push", "lobby", "hi", "--from", "alice", "--no-echo"});
  CHECK(options.verb == Verb::push);
  CHECK(options.room == "lobby");
  CHECK(options.text == "hi");
  CHECK(options.from == "alice");
  CHECK(options.no_echo);
  CHECK_FALSE(options.raw);
  CHECK(parsed({"push", "lobby", "--raw", "[1,2]"}).text == "[1,2]");
  CHECK(parsed({"push", "lobby", "[a, b]"}).text == "[a, b]");
  CHECK(parsed({"push", "lobby", "hi, you"}).text == "hi, you");
  CHECK(parsed({"push", "lobby", "-"}).text == "-");
  CHECK(parsed({"push", "lobby", "watch"}).verb == Verb::push);
  CHECK(parsed({"push", "lobby", "--", "--hi"}).text == "--hi");
  CHECK_THROWS_AS(parsed({"push", "lobby"}), CLI::ParseError);
  CHECK_THROWS_AS(parsed({"push", "lobby", "hi", "you"}), CLI::ParseError);
}

TEST_CASE("wrong names and contradictions are usage errors with a sentence, before anybody is asked") {
  CHECK_THROWS_AS(run_room(parsed({"size", ""})), UsageError);
  CHECK_THROWS_AS(run_room(parsed({"size", std::string(129, 'r')})), UsageError);
  CHECK_THROWS_AS(run_room(parsed({"size", "a\tb"})), UsageError);
  CHECK_THROWS_AS(run_room(parsed({"watch", "\xff"})), UsageError);
  CHECK_THROWS_AS(run_room(parsed({"join", "lobby", ""})), UsageError);
  CHECK_THROWS_WITH(run_room(parsed({"push", "lobby", "hi", "--no-echo"})), Catch::Contains("--from"));
  CHECK_THROWS_WITH(run_room(parsed({"push", "lobby", "hi", "--raw"})), Catch::Contains("--raw"));
  CHECK_THROWS_WITH(run_room(parsed({"push", "lobby", "hi", "--from", "a\tb"})), Catch::Contains("--from"));
  CHECK_THROWS_WITH(run_room(parsed({"size", "lobby", "--server", "ftp://x"})), Catch::Contains("http://host:port"));
}

TEST_CASE("a push reads as one line") {
  CHECK(describe(pushed(5, 2)) == "pushed to 5 connections on 2 servers");
  CHECK(describe(pushed(1, 1)) == "pushed to 1 connection on 1 server");
  CHECK(describe(pushed(0, 0)) == "nobody is there");
  CHECK(describe(pushed(3, 1, 1)) == "pushed to 3 connections on 1 server; 1 server did not answer");
  CHECK(describe(pushed(0, 0, 2)) == "nobody is there; 2 servers did not answer");
  CHECK(describe(refused(Errc::rate_limited, "not so fast")) == "rate_limited: not so fast");
  CHECK(describe(refused(Errc::too_big, "a\x1b[2J")) == "too_big: a?[2J");
}

TEST_CASE("the exit code of a push: 0 somebody, 3 nobody, 4 refused, 5 not known") {
  CHECK(exit_code_of(pushed(5, 2)) == ExitCode::ok);
  CHECK(exit_code_of(pushed(0, 0)) == ExitCode::offline);
  CHECK(exit_code_of(pushed(5, 2, 1)) == ExitCode::unknown);
  CHECK(exit_code_of(pushed(0, 0, 1)) == ExitCode::unknown);
  CHECK(exit_code_of(refused(Errc::rate_limited, {})) == ExitCode::dropped);
  CHECK(exit_code_of(refused(Errc::too_big, {})) == ExitCode::dropped);
}

TEST_CASE("the exit code of join and leave: 3 who is offline or not there, 1 who may not") {
  CHECK(exit_code_of(done(Errc::ok)) == ExitCode::ok);
  CHECK(exit_code_of(done(Errc::offline)) == ExitCode::offline);
  CHECK(exit_code_of(done(Errc::not_found)) == ExitCode::offline);
  CHECK(exit_code_of(done(Errc::capacity)) == ExitCode::failure);
  CHECK(exit_code_of(done(Errc::forbidden)) == ExitCode::failure);
}

TEST_CASE("what a watched room says reads as one line each") {
  CHECK(describe_frame(R"({"op":"watching","room":"lobby"})") == "watching lobby; press Ctrl-C to stop");
  CHECK(describe_frame(R"({"op":"room","room":"lobby","from":"alice","data":"hi"})") == "alice: hi");
  CHECK(describe_frame(R"({"op":"room","room":"lobby","from":"","data":{ "n" : 1 }})") == R"((nobody): {"n":1})");
  CHECK(describe_frame(R"({"op":"room","room":"lobby","from":"alice","data":"two\nlines \u001b[2J"})") ==
        "alice: two?lines ?[2J");
  CHECK(describe_frame(R"({"op":"presence","room":"lobby","event":"join","client":"bob","size":2,"version":8})") ==
        "+ bob (2 members)");
  CHECK(describe_frame(R"({"op":"presence","room":"lobby","event":"leave","client":"bob","size":1,"version":9})") ==
        "- bob (1 member)");
  CHECK(describe_frame(R"({"op":"presence","room":"lobby","event":"count","size":250,"version":9})") ==
        "= 250 members");
  CHECK(describe_frame(R"({"op":"dropped","count":7,"reason":"slow_consumer"})") ==
        "! 7 messages were missed: this reader is too slow");
}

TEST_CASE("a frame that is not understood shows nothing and ends nothing") {
  for (const auto* frame :
       {"", "{", "7", "[]", "{}", R"({"op":7})", R"({"op":"new"})", R"({"op":"room"})",
        R"({"op":"room","from":7,"data":1})", R"({"op":"presence","size":"many"})", R"({"op":"dropped","count":{}})"}) {
    INFO(frame);
    CHECK_NOTHROW(describe_frame(frame));
  }
}

TEST_CASE("a frame is one line of JSON, its strings untouched") {
  CHECK(one_line("{\"data\":{\r\n \"a\\n\" : 1.0 }}") == "{\"data\":{   \"a\\n\" : 1.0 }}");
}
