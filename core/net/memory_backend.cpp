#include "core/net/memory_backend.hpp"

#include <chrono>
#include <utility>

#include "core/net/asio.hpp"

namespace wsr::net {
namespace {

/// The store that the callers of one factory share; lives as long as any of them.
struct Shared {
  std::unique_ptr<memory::Backend> root;
};

class Member final : public Backend {
public:
  Member(std::shared_ptr<Shared> store, std::unique_ptr<Backend> own)
      : store_(std::move(store)), own_(std::move(own)) {}
  void start() override { backend().start(); }
  void stop() override { backend().stop(); }
  void call(Ticket ticket, StoreCall&& call) override { backend().call(ticket, std::move(call)); }
  Tables& tables() override { return backend().tables(); }
  void end_turn() override { backend().end_turn(); }

private:
  Backend& backend() { return own_ ? *own_ : *store_->root; }
  std::shared_ptr<Shared> store_;  // outlives own_
  std::unique_ptr<Backend> own_;   // none: this caller came first and is the root
};

StoreTime wall_clock() {
  return StoreTime{
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())};
}

}  // namespace

BackendFactory memory_backend(memory::Options options) {
  return [store = std::make_shared<Shared>(), options = std::move(options)](
             asio::io_context& io, AnswerSink& answers, BusListener& listener) -> std::unique_ptr<Backend> {
    if (store->root) return std::make_unique<Member>(store, store->root->join(answers, listener));
    auto own = options;
    if (!own.now) own.now = wall_clock;
    own.wake = [&io, weak = std::weak_ptr<Shared>(store)] {
      asio::post(io, [weak] {
        if (const auto held = weak.lock()) held->root->pump();
      });
    };
    store->root = std::make_unique<memory::Backend>(std::move(own), answers, listener);
    return std::make_unique<Member>(store, nullptr);
  };
}

}  // namespace wsr::net
