// main: reads the command line, runs one command, and turns whatever ends it into a sentence and an exit code.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "cli/command_line.hpp"
#include "cli/exit_code.hpp"
#include "cli/options.hpp"
#include "cli/owners.hpp"
#include "cli/patient_write.hpp"
#include "cli/room.hpp"
#include "cli/send.hpp"
#include "cli/serve.hpp"
#include "cli/simulate.hpp"

namespace {

using wsr::cli::ExitCode;

ExitCode run(int argc, char** argv) {
  CLI::App app("wsr: WebSocket chat across servers", "wsr");
  app.set_version_flag("--version", "wsr " WSR_VERSION, "Print the version");
  app.set_help_flag("-h,--help", "Print this help");
  app.set_config("--config", "", "Read options from this file: TOML or INI, one [section] a command")
      ->envname("WSR_CONFIG")
      ->type_name("FILE");
  app.config_formatter(wsr::cli::make_config_reader(app));
  app.allow_config_extras(CLI::config_extras_mode::error);  // a misspelt key must not be silently without effect
  app.require_subcommand(1);
  app.footer(
      "A minute to try it:\n"
      "  wsr serve -p 9090                 then open http://127.0.0.1:9090\n"
      "  wsr send alice \"hi\"               in another terminal\n"
      "  wsr owners                        who is connected where\n"
      "  wsr room push lobby \"hi\"          to everybody in a room\n"
      "  wsr simulate scenarios/           what happens when servers, clients and Redis fail\n\n"
      "wsr COMMAND --help says more. Options of serve, send, room and owners are also environment variables:\n"
      "--message-max is WSR_MESSAGE_MAX. A run of simulate depends on its command line alone.");

  wsr::cli::ServeOptions serve_options;
  wsr::cli::SendOptions send_options;
  wsr::cli::OwnersOptions owners_options;
  wsr::cli::RoomOptions room_options;
  wsr::cli::SimulateOptions simulate_options;
  auto* serve = wsr::cli::add_serve(app, serve_options);
  auto* send = wsr::cli::add_send(app, send_options);
  auto* room = wsr::cli::add_room(app, room_options);
  auto* owners = wsr::cli::add_owners(app, owners_options);
  auto* simulate = wsr::cli::add_simulate(app, simulate_options);
  for (auto* command : {serve, send, room, owners, simulate})
    command->fallthrough();  // `wsr serve --config FILE` works too

  const std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  try {
    wsr::cli::read_command_line(app, words);
  } catch (const CLI::Success& end) {  // --help and --version
    app.exit(end);
    return ExitCode::ok;
  } catch (const wsr::cli::UsageError& wrong) {
    std::cerr << "wsr: " << wrong.what() << '\n';
    const bool is_simulate = wsr::cli::named_command(app, words) == simulate;
    return is_simulate ? ExitCode{wsr::cli::exit_sim_usage} : ExitCode::usage;
  }
  if (serve->parsed()) return run_serve(serve_options);
  if (send->parsed()) return run_send(send_options);
  if (room->parsed()) return run_room(room_options);
  if (owners->parsed()) return run_owners(owners_options);
  if (simulate->parsed()) return ExitCode{run_simulate(simulate_options)};
  return ExitCode::usage;
}

void complain(const std::exception& error) {
  (void)wsr::cli::write_soon(STDERR_FILENO, std::string("wsr: ") + error.what() + '\n');
}

}  // namespace

int main(int argc, char** argv) {
  auto code = ExitCode::failure;
  try {
    code = run(argc, argv);
  } catch (const wsr::cli::UsageError& error) {
    complain(error);
    code = ExitCode::usage;
  } catch (const std::exception& error) {
    complain(error);
  }
  return static_cast<int>(code);
}
