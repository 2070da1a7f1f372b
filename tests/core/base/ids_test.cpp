#include "core/base/ids.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace wsr;

TEST_CASE("a client id is 1 to 128 bytes of UTF-8 without control characters") {
  CHECK(ClientId::parse("alice").has_value());
  CHECK(ClientId::parse("chat:room/42 {x}~").has_value());
  CHECK(ClientId::parse("\xC3\xA9\xF0\x9F\x98\x80").has_value());
  CHECK(ClientId::parse(std::string(128, 'a')).has_value());
  CHECK_FALSE(ClientId::parse("").has_value());
  CHECK_FALSE(ClientId::parse(std::string(129, 'a')).has_value());
  CHECK_FALSE(ClientId::parse("a\nb").has_value());
  CHECK_FALSE(ClientId::parse(std::string_view("a\0b", 3)).has_value());
  CHECK_FALSE(ClientId::parse("\x7F").has_value());
  CHECK_FALSE(ClientId::parse("\xC3\x28").has_value());
}

TEST_CASE("a refused client id says what is wrong with it") {
  CHECK(ClientId::parse(std::string(200, 'a')).error().message.find("200 bytes") != std::string::npos);
  CHECK(ClientId::parse("a\tb").error().message.find("control character") != std::string::npos);
  CHECK(ClientId::parse("").error().code == Errc::bad_request);
}

TEST_CASE("a server id is its name and its incarnation") {
  const auto id = ServerId::make("web-1", "k3f9");
  REQUIRE(id.has_value());
  CHECK(id->view() == "web-1~k3f9");
  CHECK(id->name() == "web-1");
  CHECK(id->incarnation() == "k3f9");
  CHECK(*ServerId::parse("host:31415~abc") == *ServerId::make("host:31415", "abc"));
  CHECK_FALSE(ServerId::parse("web-1").has_value());
  CHECK_FALSE(ServerId::parse("web/1~a").has_value());
  CHECK_FALSE(ServerId::parse("web{1~a").has_value());
  CHECK_FALSE(ServerId::make(std::string(65, 'a'), "x").has_value());
  CHECK_FALSE(ServerId::make("a", "UPPER").has_value());
}

TEST_CASE("incarnations are twelve base-36 characters and follow from the random bits alone") {
  CHECK(make_incarnation(0) == "000000000000");
  CHECK(make_incarnation(35) == "z00000000000");
  CHECK(make_incarnation(36) == "010000000000");
  std::set<std::string> seen;
  for (std::uint64_t i = 0; i < 1000; ++i) seen.insert(make_incarnation(i * 0x9E3779B97F4A7C15U));
  CHECK(seen.size() == 1000);
}

TEST_CASE("an attachment reads back from its own text and from nothing else") {
  const Attachment at{*ServerId::make("web-1", "k3f9"), 3, ConnId::make(77, 5)};
  CHECK(at.str() == "web-1~k3f9/3/4d000005");
  CHECK(Attachment::parse(at.str()) == at);
  for (const char* wrong : {"", "/", "//", "web-1~k3f9", "web-1~k3f9/3", "web-1~k3f9/3/", "web-1~k3f9//4d",
                            "web-1~k3f9/x/4d", "web-1~k3f9/70000/4d", "web-1~k3f9/3/4g", "web-1/3/4d",
                            "web-1~k3f9/3/4d ", "/3/4d", "web-1~k3f9/-1/4d", "web-1~k3f9/3/11112222333344445"}) {
    INFO(wrong);
    CHECK_FALSE(Attachment::parse(wrong).has_value());
  }
}

TEST_CASE("a connection id carries its slot and a serial that does not wrap into it") {
  const auto id = ConnId::make(0xFFFFFFFFFF, 0xFFFFFF);
  CHECK(id.slot() == 0xFFFFFF);
  CHECK(id.serial() == 0xFFFFFFFFFF);
}
