// `wsr room`: rooms from a shell: list, size, members, is-member, push, watch, join, leave.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "cli/exit_code.hpp"
#include "cli/fabric_client.hpp"
#include "cli/find.hpp"

namespace wsr::cli {

struct RoomOptions {
  FabricOptions fabric;
  enum class Verb : std::uint8_t { list, size, members, is_member, push, watch, join, leave } verb = Verb::list;
  std::string room;
  std::string client;
  std::string text;
  std::string from;
  std::string cursor;       // empty: from the beginning
  std::uint32_t count = 0;  // of one page; 0: everything, or a whole page if there is a cursor
  bool no_echo = false;
  bool raw = false;
  bool json = false;
};

CLI::App* add_room(CLI::App& app, RoomOptions& options);
[[nodiscard]] ExitCode run_room(const RoomOptions& options);

/// A JSON value without line breaks: they can only stand between its tokens.
[[nodiscard]] std::string one_line(std::string_view json);
/// What a shell shows of one frame of a room: `alice: hi`, `+ carol (4 are here)`; empty: nothing to show.
[[nodiscard]] std::string describe_frame(std::string_view frame);
/// What a shell shows of a push: `pushed to 5 connections on 2 servers`, `nobody is there`.
[[nodiscard]] std::string describe(const RoomPushed& pushed);
[[nodiscard]] ExitCode exit_code_of(const RoomPushed& pushed);
[[nodiscard]] ExitCode exit_code_of(const RoomDone& done);

}  // namespace wsr::cli
