// redis::Directory: who is where, and which servers live.
//
// Every decision is one script on one key; this file strings them together. A row's index entry is written before the
// row, in the same pipeline, so a server's index is a superset of its rows: sweeps, pages and counts go by the index
// and never by the keyspace.
//
// owners_max is a soft bound here. An exact one would need a counter in one slot that every claim of the cluster
// touches. Instead each server knows the sum of all indexes as of its last ServersCall, plus what it added since:
// the bound can be passed by what all servers together add between two such calls.
//
// Thread-safety: none.
// Order:         answers to claim, release and lookup come in the order of the calls.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/redis/answer_order.hpp"
#include "core/redis/cluster_view.hpp"
#include "core/redis/connection.hpp"
#include "core/redis/keys.hpp"

namespace wsr::redis {

class Directory {
public:
  Directory(Connection& connection, const Options& options, const Keys& keys, ClusterView& view, AnswerSink& answers)
      : connection_(connection), options_(options), keys_(keys), view_(view), answers_(answers), order_(answers) {}

  void call(Ticket ticket, const ClaimCall& request);
  void call(Ticket ticket, const ReleaseCall& release);
  void call(Ticket ticket, const LookupCall& lookup);
  void call(Ticket ticket, const OwnerPageCall& page);
  void call(Ticket ticket, const CountsCall& counts);
  void call(Ticket ticket, const HeldCall& asked);
  void call(Ticket ticket, const MissingCall& asked);
  void call(Ticket ticket, const RenewCall& renew);
  void call(Ticket ticket, const ResignCall& resign);
  void call(Ticket ticket, const ServersCall& servers);
  void call(Ticket ticket, const SweepCall& sweep);

private:
  struct Listing;
  struct Paging;

  void on_claimed(std::uint64_t place, const ClaimCall& request, const Reply& reply, bool is_indexed);
  void end_claim(std::uint64_t place, const ClaimCall& request, Claimed claimed);
  /// Removes an entry whose row is gone; puts it back if the same attachment has been claimed again meanwhile.
  void unindex(const ClientId& client, const Attachment& at, std::function<void()> done);
  void note_leases(Owners& owners) const;
  /// Nobody was found. ok: that is so; `unavailable`: the store refuses writes or has just come back, so that servers
  /// which live may be without lease or row.
  void believe_absence(std::function<void(Errc)> done);
  void on_rows(std::uint64_t place, const ClientId& client, const Reply& reply);
  /// Asks for the leases of those servers that are not known to live; then `done` with the ones that do live.
  void ask_leases(std::vector<ServerId> servers, std::function<void(Errc, std::vector<ServerId> live)> done);
  void page_servers(const std::shared_ptr<Paging>& paging);
  void page_index(const std::shared_ptr<Paging>& paging);
  void page_rows(const std::shared_ptr<Paging>& paging, const Reply& scan);
  void end_page(const Paging& paging, Errc result);
  void ask_server_rows(const std::shared_ptr<Listing>& listing);

  Connection& connection_;
  const Options& options_;
  const Keys& keys_;
  ClusterView& view_;
  AnswerSink& answers_;
  AnswerOrder order_;
};

}  // namespace wsr::redis
