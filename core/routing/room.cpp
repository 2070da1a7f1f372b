#include "core/routing/room.hpp"

namespace wsr {

std::string_view to_string(RoomAction action) {
  switch (action) {
    case RoomAction::join:
      return "join";
    case RoomAction::leave:
      return "leave";
    case RoomAction::push:
      return "push";
    case RoomAction::read:
      return "read";
  }
  return "read";
}

}  // namespace wsr
