#include "core/wire/ws_frame.hpp"
