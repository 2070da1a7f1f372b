#include "core/routing/frame.hpp"

#include <cstring>

namespace wsr {

Frame Frame::copy_of(std::string_view head, std::string_view body) {
  const std::size_t size = head.size() + body.size();
  auto* block = static_cast<Block*>(::operator new(sizeof(Block) + size));
  block->references = 1;
  block->size = size;
  char* bytes = reinterpret_cast<char*>(block + 1);
  if (!head.empty()) std::memcpy(bytes, head.data(), head.size());
  if (!body.empty()) std::memcpy(bytes + head.size(), body.data(), body.size());
  Frame frame;
  frame.block_ = block;
  return frame;
}

}  // namespace wsr
