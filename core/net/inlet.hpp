// Inlet: what other threads hand to the owner of an io_context, in order, with one post a burst.
//
// The first push into an empty inlet posts the drain; those that follow until it runs ride along. So a busy
// neighbour costs one wake-up for everything that it said meanwhile.
//
// Thread-safety: push() from any thread; construction, destruction and the receiver on the io_context's thread.
//                The io_context must outlive the Inlet; items that are left at destruction are dropped.
// Bounds:        by those who push: every link keeps at most Limits::link_in_flight_max batches unanswered, and an
//                answer exists only for a call.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/net/asio.hpp"

namespace wsr::net {

template <class Item>
class Inlet {
public:
  Inlet(asio::io_context& io, std::function<void(Item&&)> receive)
      : state_(std::make_shared<State>(io, std::move(receive))) {}
  ~Inlet() {
    std::vector<Item> left;  // destroyed outside the lock: an item may hold anything
    const std::lock_guard lock(state_->mutex);
    state_->is_closed = true;
    left.swap(state_->items);
  }
  Inlet(const Inlet&) = delete;
  Inlet& operator=(const Inlet&) = delete;

  void push(Item item) {
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->is_closed) return;
      state_->items.push_back(std::move(item));
      if (state_->is_posted) return;
      state_->is_posted = true;
    }
    asio::post(state_->io, [state = state_] { state->drain(); });
  }

private:
  struct State {
    State(asio::io_context& context, std::function<void(Item&&)> receiver)
        : io(context), receive(std::move(receiver)) {}
    void drain() {
      std::vector<Item> burst;
      {
        const std::lock_guard lock(mutex);
        burst.swap(items);
        is_posted = false;
      }
      for (auto& item : burst) {
        if (is_closed) return;  // set on this very thread, by what the last item did
        receive(std::move(item));
      }
    }

    asio::io_context& io;
    std::function<void(Item&&)> receive;
    std::mutex mutex;
    std::vector<Item> items;
    bool is_posted = false;
    bool is_closed = false;
  };
  std::shared_ptr<State> state_;
};

/// The usual item: something to do on the owner's thread.
using Task = std::function<void()>;

}  // namespace wsr::net
