// The bus, as every backend must carry it: at most once, in each publisher's order, counting who was reached.
#include <algorithm>

#include "tests/contract/harness.hpp"

namespace wsr::contract {
namespace {

using Payloads = std::vector<std::string>;

Channel app(std::string name) { return {ChannelKind::app, std::move(name)}; }

void subscribe(Harness& h, int n, const Channel& channel, Match match = Match::exact) {
  REQUIRE(h.ask(n, SubscribeCall{channel, match}).result == Errc::ok);
}
void unsubscribe(Harness& h, int n, const Channel& channel, Match match = Match::exact) {
  REQUIRE(h.ask(n, UnsubscribeCall{channel, match}).result == Errc::ok);
}
std::uint64_t publish(Harness& h, int n, const Channel& channel, const std::string& payload) {
  const auto published = h.ask(n, PublishCall{channel, payload});
  REQUIRE(published.result == Errc::ok);
  return published.receivers;
}

/// Waits until server n has `count` messages, then a little more: none may follow.
void hear(Harness& h, int n, std::size_t count) {
  CHECK(h.wait_until([&] { return h.heard(n).messages.size() >= count; }));
  h.run_for(20ms);
  CHECK(h.heard(n).messages.size() == count);
}

SENTENCE("a message reaches every server that has subscribed and no other") {
  CONTRACT_HARNESS(h);
  subscribe(h, 1, app("news"));
  subscribe(h, 2, app("news"));
  subscribe(h, 3, app("other"));
  CHECK(publish(h, 3, app("news"), "hello") == 2);
  for (const int n : {1, 2}) {
    hear(h, n, 1);
    CHECK(h.heard(n).messages[0] == Recorder::Message{app("news"), "", "hello"});
  }
  hear(h, 3, 0);
}

SENTENCE("a publisher that has subscribed hears itself") {
  CONTRACT_HARNESS(h);
  subscribe(h, 1, app("news"));
  CHECK(publish(h, 1, app("news"), "echo") == 1);
  hear(h, 1, 1);
}

SENTENCE("a message that nobody has subscribed to reaches nobody") {
  CONTRACT_HARNESS(h);
  CHECK(publish(h, 1, app("nobody"), "hello") == 0);
}

SENTENCE("a message is forwarded byte for byte") {
  CONTRACT_HARNESS(h);
  subscribe(h, 2, app("bytes"));
  std::string all;
  for (int round = 0; round < 512; ++round) {
    for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  }
  publish(h, 1, app("bytes"), all);
  publish(h, 1, app("bytes"), "");
  publish(h, 1, app("bytes"), "$5\r\nhello\r\n");
  hear(h, 2, 3);
  CHECK(h.heard(2).payloads() == Payloads{all, "", "$5\r\nhello\r\n"});
}

SENTENCE("a channel name can hold spaces and quotes and line ends") {
  CONTRACT_HARNESS(h);
  const Channel odd = app("a b\"c\r\n{d}*");
  subscribe(h, 1, odd);
  CHECK(publish(h, 2, odd, "hello") == 1);
  CHECK(publish(h, 2, app("a b\"c\r\n{d}x"), "not a pattern") == 0);
  hear(h, 1, 1);
  CHECK(h.heard(1).messages[0].channel == odd);
}

SENTENCE("messages of one publisher arrive in the order in which they were published") {
  CONTRACT_HARNESS(h);
  subscribe(h, 2, app("a"));
  subscribe(h, 2, app("b"));
  Payloads sent;
  Ticket last;
  for (int i = 0; i < 500; ++i) {
    sent.push_back(std::to_string(i));
    last = h.next_ticket();
    h.server(1).call(last, PublishCall{app(i % 3 == 0 ? "a" : "b"), sent.back()});
  }
  h.wait(1, last);
  hear(h, 2, sent.size());
  CHECK(h.heard(2).payloads() == sent);
}

SENTENCE("every message published after a confirmed subscription arrives") {
  CONTRACT_HARNESS(h);
  for (int i = 0; i < 20; ++i) {
    const Channel channel = app("room-" + std::to_string(i));
    subscribe(h, 2, channel);
    CHECK(publish(h, 1, channel, "first") == 1);
  }
  hear(h, 2, 20);
}

SENTENCE("nothing arrives after a confirmed unsubscription") {
  CONTRACT_HARNESS(h);
  subscribe(h, 1, app("news"));
  publish(h, 2, app("news"), "one");
  hear(h, 1, 1);
  unsubscribe(h, 1, app("news"));
  CHECK(publish(h, 2, app("news"), "two") == 0);
  hear(h, 1, 1);
  subscribe(h, 1, app("news"));
  CHECK(publish(h, 2, app("news"), "three") == 1);
  hear(h, 1, 2);
}

SENTENCE("subscribing twice is subscribing once") {
  CONTRACT_HARNESS(h);
  subscribe(h, 1, app("news"));
  subscribe(h, 1, app("news"));
  CHECK(publish(h, 2, app("news"), "one") == 1);
  hear(h, 1, 1);
  unsubscribe(h, 1, app("news"));
  CHECK(publish(h, 2, app("news"), "two") == 0);
}

SENTENCE("unsubscribing from what was never subscribed to is fine") {
  CONTRACT_HARNESS(h);
  unsubscribe(h, 1, app("news"));
  unsubscribe(h, 1, app("n*"), Match::pattern);
  subscribe(h, 1, app("news"));
  unsubscribe(h, 1, app("news"), Match::pattern);  // the pattern, not the channel
  CHECK(publish(h, 2, app("news"), "one") == 1);
}

SENTENCE("the kinds of channels are namespaces of their own") {
  CONTRACT_HARNESS(h);
  const std::string name = Harness::id(1).str();
  subscribe(h, 1, {ChannelKind::inbox, name});
  subscribe(h, 2, {ChannelKind::app, name});
  subscribe(h, 3, {ChannelKind::room, name});
  subscribe(h, 4, {ChannelKind::app, "*"}, Match::pattern);
  CHECK(publish(h, 4, {ChannelKind::inbox, name}, "in") == 1);
  CHECK(publish(h, 4, {ChannelKind::room, name}, "room") == 1);
  CHECK(publish(h, 4, {ChannelKind::app, name}, "app") == 2);
  hear(h, 1, 1);
  hear(h, 2, 1);
  hear(h, 3, 1);
  hear(h, 4, 1);
  CHECK(h.heard(1).messages[0] == Recorder::Message{{ChannelKind::inbox, name}, "", "in"});
  CHECK(h.heard(2).messages[0] == Recorder::Message{{ChannelKind::app, name}, "", "app"});
  CHECK(h.heard(3).messages[0] == Recorder::Message{{ChannelKind::room, name}, "", "room"});
  CHECK(h.heard(4).messages[0] == Recorder::Message{{ChannelKind::app, name}, "*", "app"});
}

SENTENCE("a pattern subscription hears each matching channel by its own name") {
  CONTRACT_HARNESS(h);
  subscribe(h, 1, app("news.*"), Match::pattern);
  CHECK(publish(h, 2, app("news.sport"), "goal") == 1);
  CHECK(publish(h, 2, app("news."), "empty") == 1);
  CHECK(publish(h, 2, app("news"), "short") == 0);
  CHECK(publish(h, 2, app("old.news.x"), "prefix") == 0);
  hear(h, 1, 2);
  CHECK(h.heard(1).messages[0] == Recorder::Message{app("news.sport"), "news.*", "goal"});
  unsubscribe(h, 1, app("news.*"), Match::pattern);
  CHECK(publish(h, 2, app("news.sport"), "late") == 0);
}

SENTENCE("receivers counts subscriptions so an exact and a pattern one bring a message each") {
  CONTRACT_HARNESS(h);
  subscribe(h, 1, app("news"));
  subscribe(h, 1, app("n*"), Match::pattern);
  subscribe(h, 1, app("*s"), Match::pattern);
  subscribe(h, 2, app("news"));
  CHECK(publish(h, 3, app("news"), "hello") == 4);
  hear(h, 1, 3);
  hear(h, 2, 1);
  std::vector<std::string> patterns;
  for (const auto& message : h.heard(1).messages) patterns.push_back(message.pattern);
  std::sort(patterns.begin(), patterns.end());
  CHECK(patterns == std::vector<std::string>{"", "*s", "n*"});
  CHECK(h.heard(1).messages[0].pattern.empty());  // the exact one first
}

SENTENCE("patterns follow the rules of Redis") {
  CONTRACT_HARNESS(h);
  struct Case {
    const char* pattern;
    const char* channel;
    bool is_match;
  };
  const std::vector<Case> cases = {
      {"*", "anything", true},      {"a?c", "abc", true},
      {"a?c", "ac", false},         {"a?c", "abbc", false},
      {"h[ae]llo", "hello", true},  {"h[ae]llo", "hillo", false},
      {"h[^e]llo", "hallo", true},  {"h[^e]llo", "hello", false},
      {"h[a-c]llo", "hbllo", true}, {"h[a-c]llo", "hdllo", false},
      {"h[c-a]llo", "hbllo", true}, {"a\\*b", "a*b", true},
      {"a\\*b", "axb", false},      {"a\\?b", "a?b", true},
      {"[\\]]", "]", true},         {"a[bc", "ab", true},
      {"a[bc", "ad", false},        {"a\\", "a\\", true},
      {"*a*b*c", "xxaybzc", true},  {"*a*b*c", "xxaybz", false},
      {"**x", "aax", true},         {"a*", "a", true},
      {"abc", "abcd", false},       {"[]", "a", false},
      {"?", "\xC3\xA4", false},     {"??", "\xC3\xA4", true},
  };
  for (const Case& c : cases) {
    INFO("pattern " << c.pattern << ", channel " << c.channel);
    subscribe(h, 1, app(c.pattern), Match::pattern);
    CHECK(publish(h, 2, app(c.channel), "x") == (c.is_match ? 1 : 0));
    unsubscribe(h, 1, app(c.pattern), Match::pattern);
  }
}

SENTENCE("a resubscription is announced and all subscriptions stand again") {
  CONTRACT_HARNESS(h);
  subscribe(h, 1, app("news"));
  subscribe(h, 1, app("p*"), Match::pattern);
  const int before = h.heard(1).resubscribed;
  h.server(1).call(Ticket{}, ResubscribeCall{});
  CHECK(h.heard(1).resubscribed == before);  // not inline
  h.server(1).end_turn();
  REQUIRE(h.wait_until([&] { return h.heard(1).resubscribed > before; }));
  CHECK(publish(h, 2, app("news"), "one") == 1);
  CHECK(publish(h, 2, app("pop"), "two") == 1);
  hear(h, 1, 2);
}

SENTENCE("a message is never handed over inline") {
  CONTRACT_HARNESS(h);
  subscribe(h, 1, app("news"));
  h.server(1).call(h.next_ticket(), PublishCall{app("news"), "hello"});
  CHECK(h.heard(1).messages.empty());
  h.server(1).end_turn();
  hear(h, 1, 1);
}

SENTENCE("the store says that it is up") {
  CONTRACT_HARNESS(h);
  static_cast<void>(h.server(1));
  REQUIRE(h.wait_until([&] { return !h.heard(1).states.empty(); }));
  CHECK(h.heard(1).states.back() == StoreState::up);
}

}  // namespace
}  // namespace wsr::contract
