#include "core/routing/receipt_table.hpp"

#include <catch2/catch.hpp>

using namespace wsr;
using namespace std::chrono_literals;

namespace {
ReceiptWaiter waiter(const char* id) { return ReceiptWaiter{ConnId{1}, {}, id}; }
}  // namespace

TEST_CASE("a receipt is resolved once, by its number") {
  ReceiptTable table(10, 5s);
  const auto a = table.add(waiter("a"), Time{});
  const auto b = table.add(waiter("b"), Time{});
  CHECK(table.resolve(b)->id == "b");
  CHECK_FALSE(table.resolve(b).has_value());
  CHECK(table.resolve(a)->id == "a");
  CHECK_FALSE(table.next_deadline().has_value());
}

TEST_CASE("a receipt expires at its deadline, one resolved before does not") {
  ReceiptTable table(10, 5s);
  const auto a = table.add(waiter("a"), Time{0s});
  (void)table.add(waiter("b"), Time{1s});
  CHECK_FALSE(table.expired(Time{4s}).has_value());
  CHECK(table.resolve(a).has_value());
  CHECK_FALSE(table.expired(Time{5s}).has_value());
  CHECK(table.expired(Time{6s})->id == "b");
  CHECK(table.size() == 0);
}

TEST_CASE("at its bound the table gives no number") {
  ReceiptTable table(1, 5s);
  const auto a = table.add(waiter("a"), Time{});
  CHECK(a != 0);
  CHECK(table.add(waiter("b"), Time{}) == 0);
  (void)table.resolve(a);
  CHECK(table.add(waiter("c"), Time{}) != 0);
}
