#include "cli/send.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace wsr;
using namespace wsr::cli;

namespace {

SendResult result(std::string state, std::string reason = {}) {
  return {ClientId::trusted("alice"), std::move(state), std::move(reason), ServerId::trusted("web-1~k3f9"), 0.8};
}

SendOptions parsed(std::vector<std::string> args) {
  CLI::App app;
  SendOptions options;
  add_send(app, options);
  args.insert(args.begin(), "send");
  std::reverse(args.begin(), args.end());
  app.parse(args);
  return options;
}

}  // namespace

TEST_CASE("a result reads as one line") {
  CHECK(describe(result("delivered"), Recipients::one) == "delivered to alice on web-1 in 0.8 ms");
  CHECK(describe(result("offline"), Recipients::one) == "offline");
  CHECK(describe(result("dropped", "slow_consumer"), Recipients::one) == "dropped: slow_consumer");
  CHECK(describe(result("unknown"), Recipients::one) == "unknown");
  CHECK(describe(result("accepted"), Recipients::one) == "sent to alice");
}

TEST_CASE("of several recipients each line names its own") {
  CHECK(describe(result("offline"), Recipients::several) == "alice: offline");
  CHECK(describe(result("dropped", "too_big"), Recipients::several) == "alice: dropped: too_big");
  CHECK(describe(result("delivered"), Recipients::several) == "delivered to alice on web-1 in 0.8 ms");
}

TEST_CASE("the exit code is the worst over the recipients") {
  CHECK(exit_code_of({result("delivered"), result("queued"), result("accepted")}) == ExitCode::ok);
  CHECK(exit_code_of({result("delivered"), result("offline")}) == ExitCode::offline);
  CHECK(exit_code_of({result("dropped", "capacity"), result("offline")}) == ExitCode::dropped);
  CHECK(exit_code_of({result("unknown"), result("dropped", "capacity")}) == ExitCode::unknown);
}

TEST_CASE("a text becomes a JSON string, raw JSON stays as it is") {
  CHECK(payload_of("say \"hi\"", TextIs::text) == R"("say \"hi\"")");
  CHECK(payload_of("{}", TextIs::text) == R"("{}")");
  CHECK(payload_of(R"({ "n" : 1.0 })", TextIs::json) == R"({ "n" : 1.0 })");
  CHECK_THROWS_AS(payload_of("hi", TextIs::json), UsageError);
  CHECK_THROWS_AS(payload_of("\xff", TextIs::text), UsageError);
}

TEST_CASE("the last word is the text, also when it looks like a list") {
  CHECK(parsed({"alice", "hi"}).words == std::vector<std::string>{"alice", "hi"});
  CHECK(parsed({"alice", "bob", "hi, you"}).words == std::vector<std::string>{"alice", "bob", "hi, you"});
  CHECK(parsed({"alice", "--raw", "[1,2]"}).words == std::vector<std::string>{"alice", "[1,2]"});
  CHECK(parsed({"alice", "--json", "bob", "[]", "[a,b]"}).words ==
        std::vector<std::string>{"alice", "bob", "[]", "[a,b]"});
  CHECK(parsed({"alice", "-"}).words == std::vector<std::string>{"alice", "-"});
  CHECK(parsed({"alice", "--", "--hi"}).words == std::vector<std::string>{"alice", "--hi"});
  CHECK(parsed({"alice", "hi", "--from", "bob"}).from == "bob");
  CHECK_THROWS_AS(parsed({}), CLI::ParseError);
  CHECK_THROWS_AS(run_send(parsed({"alice"})), UsageError);
  CHECK_THROWS_AS(parsed({"alice", "hi", "--nonsense"}), CLI::ParseError);
}
