// examples/embedding as its readers run it: two processes, one Redis, users on plain TCP.
#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>
#include <csignal>
#include <string>

#include "tests/support/process.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/wait.hpp"

using namespace wsr::test;
using namespace std::chrono_literals;

namespace {

class ChatServer {
public:
  ChatServer(const std::string& name, const std::string& store) : process_({LINE_CHAT, "0", name, store}) {
    const std::string said = "listens on ";
    const bool is_up = wait_until([&] { return process_.out().find('\n') != std::string::npos; }, 8s);
    INFO(process_.err());
    REQUIRE(is_up);
    port_ = process_.out().substr(process_.out().find(said) + said.size());
    port_.erase(port_.find('\n'));
  }
  [[nodiscard]] const std::string& port() const { return port_; }
  /// The exit code after SIGTERM.
  [[nodiscard]] std::optional<int> stop() {
    process_.signal(SIGTERM);
    const auto end = process_.wait(8s);
    return end ? end->exit_code : std::nullopt;
  }

private:
  Process process_;
  std::string port_;
};

class User {
public:
  User(const ChatServer& server, const std::string& name) : stream_("127.0.0.1", server.port()) {
    say(name);
    CHECK(heard("hello " + name));
  }
  void say(const std::string& line) {
    stream_.expires_after(8s);
    stream_ << line << "\n" << std::flush;
  }
  /// The next line that is not small talk of the server's.
  [[nodiscard]] std::string line() {
    std::string text;
    stream_.expires_after(8s);
    std::getline(stream_, text);
    return text;
  }
  /// Reads up to this line; false if the stream ends or nothing comes.
  [[nodiscard]] bool heard(const std::string& wanted) {
    for (std::string text = line(); stream_; text = line()) {
      if (text == wanted) return true;
    }
    return false;
  }

private:
  boost::asio::ip::tcp::iostream stream_;
};

/// Claims take a moment: until everybody is counted.
bool are_online(User& user, int count) {
  return wait_until(
      [&] {
        user.say("/who");
        std::string text;
        do text = user.line();
        while (!text.empty() && !text.ends_with(" online"));
        return text == std::to_string(count) + " online";
      },
      8s, 20ms);
}

}  // namespace

TEST_CASE("two servers of one's own share a fabric: messages cross, and a user who leaves is offline") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  ChatServer a("a", redis.url()), b("b", redis.url());
  User alice(a, "alice"), bob(b, "bob");
  REQUIRE(are_online(alice, 2));

  alice.say("@bob hi \"there\"");
  CHECK(bob.heard("alice to you: hi \"there\""));
  CHECK(alice.heard("bob: delivered"));
  bob.say("@alice hi back");
  CHECK(alice.heard("bob to you: hi back"));

  bob.say("good evening");
  CHECK(alice.heard("bob: good evening"));
  CHECK(bob.heard("bob: good evening"));

  bob.say("/quit");
  REQUIRE(are_online(alice, 1));
  alice.say("@bob still there?");
  CHECK(alice.heard("bob: offline"));

  CHECK(a.stop() == 0);
  CHECK(b.stop() == 0);
}

TEST_CASE("a user who connects to the other server is told there, and the older connection hears why it ends") {
  if (!find_redis_server()) {
    WARN(no_redis_server);
    return;
  }
  RedisServer redis;
  ChatServer a("a", redis.url()), b("b", redis.url());
  User bob(a, "bob");
  REQUIRE(are_online(bob, 1));
  User older(a, "alice");
  REQUIRE(are_online(bob, 2));
  User newer(b, "alice");
  CHECK(older.heard("closed: a newer connection of this client took over"));
  bob.say("@alice hi");
  CHECK(newer.heard("bob to you: hi"));
}
