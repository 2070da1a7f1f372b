#include "core/wire/client_protocol.hpp"
