// Alive: lets a posted handler find out that its object is gone.
//
// An io_context may outlive what posts to it (an application embeds the fabric and drops it again). A handler
// made by guard() does nothing once the Alive is destroyed.
//
// Thread-safety: guard() and the handlers belong to the thread that destroys the object.
#pragma once

#include <memory>
#include <utility>

namespace wsr::net {

class Alive {
public:
  Alive() = default;
  Alive(const Alive&) = delete;
  Alive& operator=(const Alive&) = delete;

  template <class Handler>
  [[nodiscard]] auto guard(Handler handler) const {
    return [token = std::weak_ptr<char>(token_), handler = std::move(handler)](auto&&... args) mutable {
      if (!token.expired()) handler(std::forward<decltype(args)>(args)...);
    };
  }

private:
  std::shared_ptr<char> token_ = std::make_shared<char>();
};

}  // namespace wsr::net
