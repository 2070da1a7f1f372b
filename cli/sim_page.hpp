// What report.html is made of: lanes, bands, messages and latencies of one run, from its trace.
//
// Bounds: the page stays usable for any run: see the constants in sim_page.cpp; what is left out is said on the page.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "sim/scenario.hpp"
#include "sim/trace.hpp"
#include "sim/world.hpp"

namespace wsr::cli {

/// `scenario` as the seed had it: see sim::vary.
[[nodiscard]] nlohmann::ordered_json picture_of(const sim::Scenario& scenario, const sim::RunResult& run,
                                                const sim::Trace& trace);

}  // namespace wsr::cli
