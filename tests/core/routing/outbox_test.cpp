#include "core/routing/outbox.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <random>
#include <string>

using namespace wsr;

namespace {

std::string drain(Outbox& outbox, std::size_t at_once) {
  std::string written;
  std::array<std::string_view, 4> pieces;
  while (!outbox.is_empty()) {
    const std::size_t count = outbox.gather(pieces);
    std::string shown;
    for (std::size_t i = 0; i < count; ++i) shown.append(pieces[i]);
    const std::size_t taken = std::min(at_once, shown.size());
    written.append(shown, 0, taken);
    outbox.taken(taken);
  }
  return written;
}

}  // namespace

TEST_CASE("the first frame wakes the writer, those behind it do not") {
  OutboxRules outbox_rules{.bytes_max = 1024, .policy = SlowPolicy::drop, .budget = {}};
  Outbox outbox(outbox_rules);
  CHECK(outbox.offer(Frame::copy_of("a")) == Outbox::Verdict::queued_first);
  CHECK(outbox.offer(Frame::copy_of("b")) == Outbox::Verdict::queued);
  outbox.taken(2);
  CHECK(outbox.is_empty());
  CHECK(outbox.offer(Frame::copy_of("c")) == Outbox::Verdict::queued_first);
}

TEST_CASE("a frame above the byte bound is refused and changes nothing") {
  OutboxRules outbox_rules{.bytes_max = 10, .policy = SlowPolicy::drop, .budget = {}};
  Outbox outbox(outbox_rules);
  CHECK(outbox.offer(Frame::copy_of("12345")) == Outbox::Verdict::queued_first);
  CHECK(outbox.offer(Frame::copy_of("67890")) == Outbox::Verdict::queued);
  CHECK(outbox.offer(Frame::copy_of("x")) == Outbox::Verdict::slow_consumer);
  CHECK(outbox.bytes() == 10);
  CHECK(outbox.frames() == 2);
  outbox.taken(1);
  CHECK(outbox.offer(Frame::copy_of("x")) == Outbox::Verdict::queued);
  CHECK(drain(outbox, 100) == "234567890x");
}

TEST_CASE("an empty outbox takes one frame of any size, a control frame passes the bound") {
  OutboxRules outbox_rules{.bytes_max = 4, .policy = SlowPolicy::drop, .budget = {}};
  Outbox outbox(outbox_rules);
  CHECK(outbox.offer(Frame::copy_of("0123456789")) == Outbox::Verdict::queued_first);
  CHECK(outbox.offer(Frame::copy_of("x")) == Outbox::Verdict::slow_consumer);
  CHECK(outbox.offer_control(Frame::copy_of("pong")) == Outbox::Verdict::queued);
  CHECK(drain(outbox, 3) == "0123456789pong");
}

TEST_CASE("what goes in comes out once and in order, however the writes fall") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    OutboxRules outbox_rules{.bytes_max = 1 << 20, .policy = SlowPolicy::drop, .budget = {}};
    Outbox outbox(outbox_rules);
    std::string expected;
    std::string written;
    std::array<std::string_view, 64> pieces;
    for (int step = 0; step < 200; ++step) {
      if (random() % 3 != 0) {
        const std::string bytes(random() % 40, static_cast<char>('a' + random() % 26));
        (void)outbox.offer(Frame::copy_of(bytes.substr(0, bytes.size() / 2), bytes.substr(bytes.size() / 2)));
        expected += bytes;
      } else {
        const std::size_t count = outbox.gather(pieces);
        std::string shown;
        for (std::size_t i = 0; i < count; ++i) shown.append(pieces[i]);
        const std::size_t taken = shown.empty() ? 0 : random() % (shown.size() + 1);
        written.append(shown, 0, taken);
        outbox.taken(taken);
      }
    }
    written += drain(outbox, 17);
    REQUIRE(written == expected);
    REQUIRE(outbox.frames() == 0);
  }
}

TEST_CASE("one frame is shared by many outboxes and freed after the last") {
  const Frame frame = Frame::copy_of("head", "body");
  OutboxRules one_rules{.bytes_max = 100, .policy = SlowPolicy::drop, .budget = {}};
  Outbox one(one_rules);
  OutboxRules two_rules{.bytes_max = 100, .policy = SlowPolicy::drop, .budget = {}};
  Outbox two(two_rules);
  (void)one.offer(frame);
  (void)two.offer(frame);
  one.clear();
  std::array<std::string_view, 1> piece;
  REQUIRE(two.gather(piece) == 1);
  CHECK(piece[0] == "headbody");
  CHECK(piece[0].data() == frame.bytes().data());
}

TEST_CASE("a held outbox shows the writer nothing until it begins, then its beginning comes first") {
  OutboxRules outbox_rules{.bytes_max = 10, .policy = SlowPolicy::drop, .budget = {}};
  Outbox outbox(outbox_rules);
  outbox.hold();
  CHECK(outbox.offer(Frame::copy_of("12345")) == Outbox::Verdict::queued);
  CHECK(outbox.offer(Frame::copy_of("678901")) == Outbox::Verdict::slow_consumer);
  CHECK(outbox.is_empty());
  std::array<std::string_view, 4> pieces;
  CHECK(outbox.gather(pieces) == 0);
  const std::array<Frame, 2> first{Frame::copy_of("preface "), Frame::copy_of("welcome ")};
  CHECK(outbox.begin(first) == Outbox::Verdict::queued_first);
  CHECK(drain(outbox, 3) == "preface welcome 12345");
}

namespace {

constexpr Topic room(std::uint32_t n) { return static_cast<Topic>(static_cast<std::uint32_t>(Topic::first_room) + n); }
OutboxRules rules_of(SlowPolicy policy, std::size_t bytes_max) {
  return OutboxRules{.bytes_max = bytes_max, .policy = policy, .budget = {}};
}

}  // namespace

TEST_CASE("drop: the newest is refused, and the reader is told how many once half of the bound is free") {
  auto rules = rules_of(SlowPolicy::drop, 10);
  Outbox outbox(rules);
  for (const char* each : {"11111", "22222", "33333", "44444"}) (void)outbox.offer(Frame::copy_of(each), Topic::direct);
  CHECK(outbox.dropped() == 2);
  CHECK_FALSE(outbox.is_tell_due());
  outbox.taken(5);
  CHECK(outbox.is_tell_due());
  CHECK(outbox.take_dropped() == 2);
  CHECK_FALSE(outbox.is_tell_due());
  CHECK(drain(outbox, 100) == "22222");
}

TEST_CASE("drop_oldest: waiting messages go for newer ones - answers and what is partly written stay") {
  auto rules = rules_of(SlowPolicy::drop_oldest, 20);
  Outbox outbox(rules);
  (void)outbox.offer(Frame::copy_of("partly"), Topic::direct);
  (void)outbox.offer(Frame::copy_of("answer"), Topic::answer);
  (void)outbox.offer(Frame::copy_of("old"), Topic::direct);
  (void)outbox.offer(Frame::copy_of("older"), room(1));
  outbox.taken(2);
  CHECK(outbox.offer(Frame::copy_of("1234567"), Topic::direct) == Outbox::Verdict::queued);
  CHECK(outbox.dropped() == 2);
  CHECK(outbox.bytes() == 4 + 6 + 7);
  CHECK(outbox.frames() == 3);
  CHECK(outbox.offer(Frame::copy_of("much too large"), Topic::direct) == Outbox::Verdict::slow_consumer);
  CHECK(outbox.dropped() == 4);
  CHECK(drain(outbox, 3) == "rtlyanswer");
}

TEST_CASE("keep_latest: of each room the latest message waits, direct messages are refused") {
  auto rules = rules_of(SlowPolicy::keep_latest, 12);
  Outbox outbox(rules);
  for (const char* each : {"a1", "a2"}) (void)outbox.offer(Frame::copy_of(each), room(0));
  for (const char* each : {"b1", "b2"}) (void)outbox.offer(Frame::copy_of(each), room(1));
  (void)outbox.offer(Frame::copy_of("dire"), Topic::direct);
  CHECK(outbox.offer(Frame::copy_of("a3"), room(0)) == Outbox::Verdict::queued);
  CHECK(outbox.dropped() == 3);
  CHECK(outbox.offer(Frame::copy_of("b3"), room(1)) == Outbox::Verdict::queued);
  CHECK(outbox.offer(Frame::copy_of("12345"), Topic::direct) == Outbox::Verdict::slow_consumer);
  CHECK(outbox.offer(Frame::copy_of("c1"), room(2)) == Outbox::Verdict::queued);
  CHECK(outbox.dropped() == 5);
  CHECK(drain(outbox, 100) == "direa3b3c1");
  CHECK(outbox.offer(Frame::copy_of("a4"), room(0)) == Outbox::Verdict::queued_first);
  CHECK(outbox.offer(Frame::copy_of("a5"), room(0)) == Outbox::Verdict::queued);
  CHECK(drain(outbox, 100) == "a4a5");
}

TEST_CASE("keep_latest: a newer message that does not fit leaves the older one in its place") {
  auto rules = rules_of(SlowPolicy::keep_latest, 10);
  Outbox outbox(rules);
  (void)outbox.offer(Frame::copy_of("dire5"), Topic::direct);
  for (const char* each : {"a1", "a2", "a3"}) (void)outbox.offer(Frame::copy_of(each), room(0));
  CHECK(outbox.offer(Frame::copy_of("toolong"), room(0)) == Outbox::Verdict::slow_consumer);
  CHECK(outbox.dropped() == 3);
  CHECK(drain(outbox, 100) == "dire5a3");
}

TEST_CASE("disconnect: the connection is to be closed, for a message and not for an answer") {
  auto rules = rules_of(SlowPolicy::disconnect, 4);
  Outbox outbox(rules);
  (void)outbox.offer(Frame::copy_of("full"), Topic::direct);
  CHECK(outbox.offer(Frame::copy_of("x"), Topic::answer) == Outbox::Verdict::slow_consumer);
  CHECK(outbox.dropped() == 0);
  CHECK(outbox.offer(Frame::copy_of("x"), room(3)) == Outbox::Verdict::disconnect);
}

TEST_CASE("above the process' budget each connection has its fair share, and the budget is given back") {
  auto rules = rules_of(SlowPolicy::drop, 100'000);
  rules.budget.bytes_max = 8'192;
  rules.budget.connections = 4;
  {
    Outbox slow(rules);
    Outbox other(rules);
    for (int i = 0; i < 9; ++i) (void)slow.offer(Frame::copy_of(std::string(1'000, 's')), Topic::direct);
    CHECK(rules.budget.bytes == 9'000);
    CHECK(rules.budget.is_exceeded());
    CHECK(rules.bound() == 2'048);
    CHECK(slow.offer(Frame::copy_of("x"), Topic::direct) == Outbox::Verdict::slow_consumer);
    CHECK(other.offer(Frame::copy_of(std::string(1'000, 'o')), Topic::direct) == Outbox::Verdict::queued_first);
    CHECK(other.offer(Frame::copy_of(std::string(1'000, 'o')), Topic::direct) == Outbox::Verdict::queued);
    CHECK(other.offer(Frame::copy_of(std::string(1'000, 'o')), Topic::direct) == Outbox::Verdict::slow_consumer);
    rules.budget.connections = 1'000'000;
    CHECK(rules.bound() == 1'024);
    slow.taken(9'000);
    CHECK_FALSE(rules.budget.is_exceeded());
    rules.budget.bytes_elsewhere = 8'000;
    CHECK(rules.budget.is_exceeded());
  }
  CHECK(rules.budget.bytes == 0);
}

TEST_CASE("a reader that takes nothing costs no more than its bound, however long the flood lasts") {
  for (const auto policy : {SlowPolicy::drop, SlowPolicy::drop_oldest, SlowPolicy::keep_latest}) {
    auto rules = rules_of(policy, 4'096);
    Outbox outbox(rules);
    for (std::uint32_t i = 0; i < 300'000; ++i) {
      (void)outbox.offer(Frame::copy_of("0123456789"), i % 3 == 0 ? Topic::direct : room(i % 7));
      REQUIRE(outbox.bytes() <= 4'096);
      REQUIRE(outbox.frames() <= 410);
    }
    CHECK(outbox.slots() < 2'000);
    CHECK(rules.budget.bytes == outbox.bytes());
  }
}

TEST_CASE("every policy does what a plain list would do, whatever is offered and taken") {
  struct Plain {
    std::string text;
    Topic topic;
  };
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    const auto policy = static_cast<SlowPolicy>(seed % 4);
    auto rules = rules_of(policy, 200);
    Outbox outbox(rules);
    std::vector<Plain> plain;
    std::size_t plain_offset = 0;
    bool is_coalescing = false;
    std::uint64_t dropped = 0;
    const auto plain_bytes = [&] {
      std::size_t sum = 0;
      for (const auto& each : plain) sum += each.text.size();
      return sum - plain_offset;
    };
    const auto forget_older = [&](Topic topic) {  // of a room: all its waiting messages
      for (std::size_t i = plain_offset != 0 ? 1 : 0; i < plain.size();) {
        if (plain[i].topic == topic) {
          plain.erase(plain.begin() + static_cast<std::ptrdiff_t>(i));
          ++dropped;
        } else {
          ++i;
        }
      }
    };
    const auto older_bytes = [&](Topic topic) {  // what a newer message of that room takes the place of
      std::size_t sum = 0;
      if (!is_coalescing || topic < Topic::first_room) return sum;
      for (std::size_t i = plain_offset != 0 ? 1 : 0; i < plain.size(); ++i) {
        if (plain[i].topic == topic) sum += plain[i].text.size();
      }
      return sum;
    };
    for (int step = 0; step < 600; ++step) {
      if (random() % 3 != 0) {
        const std::uint32_t kind = random() % 8;
        const Topic topic = kind == 0 ? Topic::answer : kind <= 2 ? Topic::direct : room(kind);
        const std::string text(1 + random() % 30, static_cast<char>('a' + step % 26));
        const auto fits = [&] {
          const std::size_t left = plain_bytes() - older_bytes(topic);
          return left == 0 || left + text.size() <= 200;
        };
        bool is_taken = fits();
        if (!is_taken && policy == SlowPolicy::drop_oldest) {
          for (std::size_t i = plain_offset != 0 ? 1 : 0; i < plain.size() && plain_bytes() + text.size() > 200;) {
            if (plain[i].topic == Topic::answer) {
              ++i;
              continue;
            }
            plain.erase(plain.begin() + static_cast<std::ptrdiff_t>(i));
            ++dropped;
          }
        }
        if (!is_taken && policy == SlowPolicy::keep_latest && !is_coalescing) {
          is_coalescing = true;
          for (std::size_t i = plain.size(); i > (plain_offset != 0 ? 1U : 0U); --i) {
            if (plain[i - 1].topic < Topic::first_room) continue;
            for (std::size_t later = i; later < plain.size(); ++later) {
              if (plain[later].topic != plain[i - 1].topic) continue;
              plain.erase(plain.begin() + static_cast<std::ptrdiff_t>(i - 1));
              ++dropped;
              break;
            }
          }
        }
        is_taken = fits();
        if (is_taken && is_coalescing && topic >= Topic::first_room) forget_older(topic);
        const auto verdict = outbox.offer(Frame::copy_of(text), topic);
        INFO("seed " << seed << " step " << step);
        REQUIRE((verdict == Outbox::Verdict::queued || verdict == Outbox::Verdict::queued_first) == is_taken);
        if (is_taken) {
          plain.push_back({text, topic});
        } else if (topic != Topic::answer) {
          ++dropped;
        }
      } else if (!outbox.is_empty()) {
        std::array<std::string_view, 3> pieces;
        const std::size_t count = outbox.gather(pieces);
        std::string shown, expected;
        for (std::size_t i = 0; i < count; ++i) shown.append(pieces[i]);
        for (const auto& each : plain) expected.append(each.text);
        expected.erase(0, plain_offset);
        INFO("seed " << seed << " step " << step);
        REQUIRE(expected.substr(0, shown.size()) == shown);
        REQUIRE(outbox.next_topic() == plain.front().topic);
        std::size_t taken = random() % (shown.size() + 1);
        outbox.taken(taken);
        while (taken != 0) {
          const std::size_t left = plain.front().text.size() - plain_offset;
          if (taken < left) {
            plain_offset += taken;
            break;
          }
          taken -= left;
          plain_offset = 0;
          plain.erase(plain.begin());
        }
        if (plain.empty()) is_coalescing = false;
      }
      REQUIRE(outbox.bytes() == plain_bytes());
      REQUIRE(outbox.frames() == plain.size());
      REQUIRE(outbox.dropped() == dropped);
      REQUIRE(rules.budget.bytes == plain_bytes());
    }
  }
}

TEST_CASE("a frame counts with its overhead, in the bound and in the budget, and gives all of it back") {
  for (const auto policy : {SlowPolicy::drop, SlowPolicy::drop_oldest, SlowPolicy::keep_latest}) {
    auto rules = rules_of(policy, 1'024);
    rules.overhead = frame_overhead_bytes;
    Outbox outbox(rules);
    std::mt19937 random(11);
    for (int step = 0; step < 20'000; ++step) {
      if (random() % 4 != 0) {
        (void)outbox.offer(Frame::copy_of(std::string(1 + random() % 9, 'x')),
                           random() % 2 == 0 ? Topic::direct : room(random() % 3));
        REQUIRE(outbox.cost() <= 1'024);
        REQUIRE(outbox.frames() <= 1'024 / frame_overhead_bytes);
      } else if (!outbox.is_empty()) {
        outbox.taken(1 + random() % outbox.bytes());
      }
      REQUIRE(rules.budget.bytes == outbox.cost());
      REQUIRE(outbox.cost() == outbox.bytes() + outbox.frames() * frame_overhead_bytes);
    }
    outbox.clear();
    CHECK(rules.budget.bytes == 0);
  }
}

TEST_CASE("frames offered to a held outbox, and those before them, count once") {
  auto rules = rules_of(SlowPolicy::drop, 4'096);
  rules.overhead = frame_overhead_bytes;
  Outbox outbox(rules);
  outbox.hold();
  (void)outbox.offer(Frame::copy_of("held"), Topic::direct);
  const std::array<Frame, 2> first{Frame::copy_of("preface "), Frame::copy_of("welcome ")};
  (void)outbox.begin(first);
  CHECK(rules.budget.bytes == 20 + 3 * frame_overhead_bytes);
  (void)drain(outbox, 3);
  CHECK(rules.budget.bytes == 0);
}
