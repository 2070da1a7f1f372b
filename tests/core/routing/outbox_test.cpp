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
  Outbox outbox(1024);
  CHECK(outbox.offer(Frame::copy_of("a")) == Outbox::Verdict::queued_first);
  CHECK(outbox.offer(Frame::copy_of("b")) == Outbox::Verdict::queued);
  outbox.taken(2);
  CHECK(outbox.is_empty());
  CHECK(outbox.offer(Frame::copy_of("c")) == Outbox::Verdict::queued_first);
}

TEST_CASE("a frame above the byte bound is refused and changes nothing") {
  Outbox outbox(10);
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
  Outbox outbox(4);
  CHECK(outbox.offer(Frame::copy_of("0123456789")) == Outbox::Verdict::queued_first);
  CHECK(outbox.offer(Frame::copy_of("x")) == Outbox::Verdict::slow_consumer);
  CHECK(outbox.offer_control(Frame::copy_of("pong")) == Outbox::Verdict::queued);
  CHECK(drain(outbox, 3) == "0123456789pong");
}

TEST_CASE("what goes in comes out once and in order, however the writes fall") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    Outbox outbox(1 << 20);
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
  Outbox one(100);
  Outbox two(100);
  (void)one.offer(frame);
  (void)two.offer(frame);
  one.clear();
  std::array<std::string_view, 1> piece;
  REQUIRE(two.gather(piece) == 1);
  CHECK(piece[0] == "headbody");
  CHECK(piece[0].data() == frame.bytes().data());
}

TEST_CASE("a held outbox shows the writer nothing until it begins, then its beginning comes first") {
  Outbox outbox(10);
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
