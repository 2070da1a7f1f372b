// The contract suites on core/memory: one store, virtual time.
#include <vector>

#include "core/memory/backend.hpp"
#include "tests/contract/harness.hpp"

namespace wsr::contract {
namespace {

class MemoryHarness final : public Harness {
public:
  explicit MemoryHarness(const Setup& setup) {
    memory::Options options;
    if (setup.owners_max != 0) options.owners_max = setup.owners_max;
    if (setup.memberships_max != 0) options.memberships_max = setup.memberships_max;
    options.now = [this] { return now_; };
    options.wake = [this] { is_awake_ = true; };
    recorders_.push_back(std::make_unique<Recorder>());
    store_ = std::make_unique<memory::Backend>(std::move(options), *recorders_[0], *recorders_[0]);
    store_->start();
    settle();
  }

  Backend& server(int n) override {
    while (servers_.size() + 1 < static_cast<std::size_t>(n)) {
      recorders_.push_back(std::make_unique<Recorder>());
      servers_.push_back(store_->join(*recorders_.back(), *recorders_.back()));
      servers_.back()->start();
      settle();
    }
    if (n == 1) return *store_;
    return *servers_[static_cast<std::size_t>(n) - 2];
  }

  Recorder& heard(int n) override { return *recorders_[static_cast<std::size_t>(n) - 1]; }

  StoreTime now() override { return now_; }

  void run_for(milliseconds duration) override {
    settle();
    now_ += duration;
    settle();
  }

  bool wait_until(const std::function<bool()>& is_true, milliseconds deadline) override {
    settle();
    for (milliseconds waited{0}; !is_true() && waited < deadline; waited += 1ms) run_for(1ms);
    return is_true();
  }

private:
  // Runs only when woken: a store that forgets to wake its driver fails the suites.
  void settle() {
    while (is_awake_) {
      is_awake_ = false;
      store_->pump();
    }
  }

  StoreTime now_{std::chrono::microseconds{1'700'000'000'000'000}};
  bool is_awake_ = false;
  std::vector<std::unique_ptr<Recorder>> recorders_;  // [n - 1] belongs to server n
  std::unique_ptr<memory::Backend> store_;            // server 1
  std::vector<std::unique_ptr<Backend>> servers_;     // [n - 2] is server n; they end before the store
};

}  // namespace

std::unique_ptr<Harness> make_harness(const Setup& setup) { return std::make_unique<MemoryHarness>(setup); }

}  // namespace wsr::contract
