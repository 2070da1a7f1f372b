// Frame: bytes ready for a socket, encoded once, shared by every connection that gets them.
//
// The count is not atomic: a frame never leaves its shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <utility>

namespace wsr {

class Frame {
public:
  Frame() = default;
  /// One allocation: count, size and bytes.
  [[nodiscard]] static Frame copy_of(std::string_view head, std::string_view body = {});
  Frame(const Frame& other) noexcept : block_(other.block_) {
    if (block_ != nullptr) ++block_->references;
  }
  Frame(Frame&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Frame& operator=(Frame other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Frame() {
    if (block_ != nullptr && --block_->references == 0) ::operator delete(block_);
  }

  [[nodiscard]] std::string_view bytes() const {
    return block_ == nullptr ? std::string_view{}
                             : std::string_view(reinterpret_cast<const char*>(block_ + 1), block_->size);
  }
  [[nodiscard]] std::size_t size() const { return block_ == nullptr ? 0 : block_->size; }

private:
  struct Block {
    std::size_t references;
    std::size_t size;
  };
  Block* block_ = nullptr;
};

}  // namespace wsr
