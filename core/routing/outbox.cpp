#include "core/routing/outbox.hpp"
