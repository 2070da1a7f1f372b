#!/usr/bin/env python3
"""The judge of the chaos run must be able to fail: a good journal is falsified in each way that a rule names."""
import sys
import unittest

from journal import Arrival, Connection, Journal, Listing, Message, Outage, Stay
from judge import Judge, compare, offline_while_connected, summary


def stats(words: dict, sent: int | None = None, in_flight: int = 0) -> dict:
    count = sum(sum(v.values()) if isinstance(v, dict) else v for v in words.values())
    return {"words": words, "sent": count + in_flight if sent is None else sent, "in_flight": in_flight, "unfinished": 0}


class Play:
    """A small good journal: ada on s1, bob on s2 from 1 s on; bob moves to s3 at 20 s and reads on both for a while."""

    def __init__(self) -> None:
        self.journal = Journal()
        self.ada = self.welcomed("ada", "s1", 1.0)
        self.bob = self.welcomed("bob", "s2", 1.0)
        self.first = self.sent(5.0, "delivered", 5.01, read_on=self.bob)
        self.moved = self.welcomed("bob", "s3", 20.0)
        self.bob.ended, self.bob.code = 20.02, 4009
        self.second = self.sent(25.0, "delivered", 25.01, read_on=self.moved)
        self.unknown = self.sent(26.0, "unknown", 31.0)
        self.faults("s2", "freeze", 25.5, 32.0)  # nobody is on s2, and ada is not on s2
        self.sent(50.0, "delivered", 50.01, read_on=self.moved)  # the run goes on: what has no word by now has none
        self.journal.outages.append(Outage("redis", "stall", 26.0, 31.5))  # which is why that word is unknown
        self.stays = Stay("bob", "r1", 1.1, left=10.0)
        self.journal.stays.append(self.stays)
        self.push = self.journal.submit(self.ada, 6.0, room="r1")
        self.push.arrivals.append(Arrival(self.bob, 6.01, "ada"))
        self.count()

    def welcomed(self, client: str, server: str, at: float) -> Connection:
        connection = self.journal.connect(client, server, at)
        connection.welcomed, connection.incarnation, connection.conn = at + 0.01, server + "~1", f"0/{connection.number}"
        return connection

    def sent(self, at: float, word: str | None, word_at: float | None, read_on: Connection | None = None) -> Message:
        message = self.journal.submit(self.ada, at, to="bob")
        if word is not None:
            self.journal.tell(message.number, word, word_at)
        if read_on is not None:
            message.arrivals.append(Arrival(read_on, at + 0.005, "ada"))
        return message

    def faults(self, target: str, kind: str, start: float, end: float | None) -> None:
        self.journal.outages.append(Outage(target, kind, start, end))

    def count(self) -> None:
        """Statistics that fit what was told."""
        words: dict = {"delivered": 0, "unknown": 0, "offline": 0, "dropped": {"expired": 0}}
        for message in self.journal.messages:
            if not message.room and message.word:
                if message.word == "dropped(expired)":
                    words["dropped"]["expired"] += 1
                else:
                    words[message.word] += 1
        self.journal.counted["s1~1"] = stats(words)

    def rules(self) -> list[str]:
        return sorted({finding.rule for finding in Judge(self.journal).findings()})


class TheJudge(unittest.TestCase):
    def setUp(self) -> None:
        self.play = Play()

    def finds(self, *rules: str) -> None:
        self.assertEqual(self.play.rules(), sorted(rules), summary(Judge(self.play.journal).findings()))

    def test_finds_nothing_in_a_good_journal(self):
        self.finds()

    def test_finds_a_message_that_somebody_else_read(self):
        self.play.first.arrivals[0].connection = self.play.ada
        self.finds("misdelivered")

    def test_finds_a_message_in_another_s_name(self):
        self.play.first.arrivals[0].sender = "eve"
        self.finds("misdelivered")

    def test_finds_a_message_that_nobody_sent(self):
        self.assertIsNone(self.play.journal.arrive(self.play.bob, {"op": "message", "from": "ada", "data": {"n": 99}}, 6.0))
        self.finds("misdelivered")

    def test_finds_a_direct_message_that_came_as_one_of_a_room(self):
        frame = {"op": "room", "room": "r1", "from": "ada", "data": {"n": self.play.first.number}}
        self.assertIsNone(self.play.journal.arrive(self.play.bob, frame, 6.0))
        self.finds("misdelivered")

    def test_finds_a_message_that_was_read_twice(self):
        self.play.first.arrivals.append(Arrival(self.play.bob, 5.02, "ada"))
        self.finds("doubled")

    def test_finds_a_message_that_was_read_on_two_connections(self):
        self.play.second.arrivals.append(Arrival(self.play.bob, 25.02, "ada"))
        self.play.second.at = 19.0
        self.finds("doubled")

    def test_finds_a_push_that_was_read_twice(self):
        self.play.push.arrivals.append(Arrival(self.play.bob, 6.02, "ada"))
        self.finds("doubled")

    def test_finds_a_delivered_message_that_nobody_read(self):
        self.play.first.arrivals.clear()
        self.finds("lost")

    def test_excuses_a_delivered_message_whose_connection_broke_at_once(self):
        self.play.first.arrivals.clear()
        self.play.bob.ended, self.play.bob.code = 5.3, None
        self.finds()

    def test_excuses_a_delivered_message_whose_server_was_killed_at_once(self):
        self.play.first.arrivals.clear()
        self.play.faults("s2", "kill", 5.3, 7.0)
        self.finds()

    def test_does_not_excuse_it_when_the_server_said_goodbye(self):
        self.play.first.arrivals.clear()
        self.play.faults("s2", "stop", 5.1, 7.0)
        self.play.bob.ended, self.play.bob.code = 5.3, 1001
        self.finds("lost")

    def test_excuses_it_when_the_word_was_held_up_with_the_store(self):
        self.play.first.arrivals.clear()
        self.play.first.word_at = 8.1
        self.play.faults("redis", "stall", 5.1, 8.0)
        self.play.bob.ended, self.play.bob.code = 5.3, None
        self.finds()

    def test_excuses_it_when_the_connection_died_while_its_server_dozed(self):
        self.play.first.arrivals.clear()
        self.play.first.word_at = 8.1
        self.play.faults("s2", "freeze", 4.9, 8.0)
        self.play.bob.ended, self.play.bob.code = 5.3, None
        self.finds()

    def test_does_not_excuse_it_when_its_server_was_killed_long_before(self):
        self.play.first.arrivals.clear()
        self.play.first.word_at = 8.1
        self.play.faults("s2", "kill", 5.1, 9.0)
        self.play.bob.ended, self.play.bob.code = 5.1, 1006
        self.finds("lost")

    def test_does_not_excuse_it_when_its_server_stood_still_beyond_its_lease(self):
        self.play.first.arrivals.clear()
        self.play.first.word_at = 12.1
        self.play.faults("s2", "freeze", 4.9, 12.0)
        self.play.bob.ended, self.play.bob.code = 7.0, None
        self.finds("lost")

    def test_does_not_excuse_it_when_the_connection_was_dead_long_before(self):
        self.play.first.arrivals.clear()
        self.play.bob.ended, self.play.bob.code = 2.5, None
        self.finds("lost")

    def test_does_not_excuse_it_when_the_connection_lived_on(self):
        self.play.first.arrivals.clear()
        self.play.bob.ended, self.play.bob.code = 8.0, None
        self.finds("lost")

    def test_finds_an_offline_message_that_was_read(self):
        self.play.first.word = "offline"
        self.play.count()
        self.finds("offline while connected", "untrue")

    def test_finds_a_dropped_message_that_was_read(self):
        self.play.first.word = "dropped(expired)"
        self.play.count()
        self.finds("unreached", "untrue")

    def test_finds_a_message_that_came_after_its_unknown(self):
        self.play.unknown.arrivals.append(Arrival(self.play.moved, 33.0, "ada"))
        self.finds("late")

    def test_finds_no_fault_in_an_unknown_message_that_came_before_its_word(self):
        self.play.unknown.arrivals.append(Arrival(self.play.moved, 30.0, "ada"))
        self.finds()

    def test_finds_a_message_on_the_connection_that_was_replaced_before_it_was_sent(self):
        self.play.bob.ended = 26.0
        self.play.second.arrivals[0].connection = self.play.bob
        self.finds("takeover")

    def test_excuses_it_when_the_store_had_forgotten_the_older_connection(self):
        self.play.bob.ended = 26.0
        self.play.second.arrivals[0].connection = self.play.bob
        self.play.faults("redis", "flush", 18.0, 18.0)
        self.finds()

    def test_finds_a_connected_client_that_is_not_reached(self):
        self.play.first.word = "unknown"
        self.play.first.arrivals.clear()
        self.play.count()
        self.finds("unreached")

    def test_finds_a_connected_client_that_is_called_offline(self):
        self.play.first.word = "offline"
        self.play.first.arrivals.clear()
        self.play.count()
        self.finds("offline while connected")
        self.assertEqual(offline_while_connected(self.play.journal), [self.play.first])

    def test_excuses_it_while_the_client_may_be_looked_for_where_it_was(self):
        self.play.faults("s4", "freeze", 4.0, 20.0)
        older = self.play.welcomed("bob", "s4", 0.5)
        older.number, older.ended = -1, 1.0
        self.play.journal.connections.sort(key=lambda c: c.number)
        self.play.first.word = "unknown"
        self.play.first.arrivals.clear()
        self.play.count()
        self.finds()
        self.play.first.at, self.play.first.word_at = 14.0, 14.1
        self.finds("unreached")

    def test_finds_it_although_another_server_stands_still(self):
        self.play.faults("s4", "freeze", 4.0, None)
        self.play.first.word = "unknown"
        self.play.first.arrivals.clear()
        self.play.count()
        self.assertIn("unreached", self.play.rules())

    def test_excuses_it_while_the_store_has_lost_its_memory(self):
        self.play.faults("redis", "flush", 4.0, 4.0)
        self.play.first.word = "offline"
        self.play.first.arrivals.clear()
        self.play.count()
        self.finds()

    def test_excuses_it_while_the_client_s_own_server_stands_still(self):
        self.play.faults("s2", "freeze", 4.0, 6.0)
        self.play.first.word = "offline"
        self.play.first.arrivals.clear()
        self.play.count()
        self.finds()
        self.assertEqual(offline_while_connected(self.play.journal), [])

    def test_finds_a_close_with_4009_although_there_is_no_newer_connection(self):
        self.play.moved.ended, self.play.moved.code = 60.0, 4009
        self.finds("thrown out")

    def test_finds_a_connection_that_broke_although_its_server_was_well(self):
        self.play.moved.ended, self.play.moved.code = 60.0, 1006
        self.finds("thrown out")

    def test_finds_a_close_because_the_store_was_full(self):
        self.play.faults("redis", "full", 59.0, 61.0)
        self.play.moved.ended, self.play.moved.code = 60.0, 4013
        self.finds("thrown out")

    def test_excuses_a_close_by_a_server_that_was_stopped(self):
        self.play.faults("s3", "stop", 59.9, 62.0)
        self.play.moved.ended, self.play.moved.code = 60.0, 1001
        self.finds()

    def test_finds_data_behind_a_close_frame(self):
        self.play.bob.behind_close = 2
        self.finds("data behind a close frame")

    def test_finds_a_message_without_a_word(self):
        self.play.first.word = self.play.first.word_at = None
        self.play.first.words = 0
        self.finds("no word")

    def test_excuses_it_when_its_sender_went(self):
        self.play.sent(30.0, None, None)
        self.play.ada.ended = 55.0
        self.finds("no word")
        self.play.ada.ended = 33.0
        self.finds()

    def test_finds_a_message_with_two_words(self):
        self.play.journal.tell(self.play.first.number, "unknown", 5.5)
        self.finds("two words")

    def test_finds_a_word_that_was_counted_as_another(self):
        self.play.journal.counted["s1~1"] = stats({"delivered": 2, "unknown": 2})
        self.finds("sums")

    def test_finds_a_word_that_was_told_and_not_counted(self):
        self.play.journal.counted["s1~1"] = stats({"delivered": 3})
        self.finds("sums")

    def test_finds_words_that_do_not_add_up(self):
        self.play.journal.counted["s1~1"]["sent"] += 1
        self.finds("sums")

    def test_allows_a_word_that_was_counted_after_its_sender_went(self):
        self.play.sent(24.0, None, None)
        self.play.ada.ended = 24.5
        self.play.journal.counted["s1~1"] = stats({"delivered": 4, "unknown": 1})
        self.finds()

    def test_finds_a_room_s_message_read_after_the_leave_was_answered(self):
        self.play.stays.left = 5.5
        self.finds("misdelivered")

    def test_finds_a_room_s_message_read_by_who_was_never_in_it(self):
        self.play.push.arrivals.append(Arrival(self.play.ada, 6.01, "ada"))
        self.finds("misdelivered")

    def test_finds_a_leave_that_was_undone(self):
        self.play.journal.listings.append(Listing("bob", "r1", since=20.0, at=20.01))
        self.finds("leave undone")

    def test_excuses_a_listing_that_could_not_know_of_the_leave(self):
        self.play.journal.listings.append(Listing("bob", "r1", since=9.0, at=10.5))
        self.finds()

    def test_tells_what_the_driver_found_at_the_end(self):
        self.play.journal.remarks += compare("an owner row", {"ada": "s1~1/0/1", "bob": "s2~1/0/2"},
                                             {"ada": "s1~1/0/9", "eve": "s1~1/0/3"})
        self.assertEqual(len(self.play.journal.remarks), 3)
        self.finds("end")

    def test_writes_each_message_down(self):
        self.assertEqual(sum('"message"' in line for line in self.play.journal.lines()), len(self.play.journal.messages))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
