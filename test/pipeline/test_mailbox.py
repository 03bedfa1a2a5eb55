import threading

from vla_ros.pipeline.mailbox import Mailbox, Worker


def test_only_the_newest_item_is_kept_and_the_others_are_counted():
    mailbox = Mailbox()
    for item in 'abc':
        mailbox.put(item)
    assert mailbox.take() == ['c']
    assert mailbox.dropped[''] == 2


def test_a_taken_item_is_not_dropped():
    mailbox = Mailbox()
    mailbox.put('a')
    mailbox.take()
    mailbox.put('b')
    assert mailbox.dropped[''] == 0


def test_a_closed_mailbox_gives_none_even_when_it_holds_an_item():
    mailbox = Mailbox()
    mailbox.put('a')
    mailbox.close()
    assert mailbox.take() is None


def test_every_sender_has_a_slot_of_its_own():
    mailbox = Mailbox(at_most=4)
    mailbox.put('a1', 'a')
    mailbox.put('b1', 'b')
    mailbox.put('b2', 'b')
    assert mailbox.take() == ['a1', 'b2']
    assert mailbox.dropped == {'a': 0, 'b': 1}


def test_who_waits_longest_comes_first_and_the_others_in_the_next_turn():
    mailbox = Mailbox(at_most=2)
    for sender in 'abc':
        mailbox.put(sender, sender)
    assert mailbox.take() == ['a', 'b']
    mailbox.put('a', 'a')
    assert mailbox.take() == ['c', 'a']


def test_who_sends_more_often_is_served_no_earlier():
    mailbox = Mailbox(at_most=1)
    mailbox.put('b1', 'b')
    mailbox.put('a1', 'a')
    for number in range(9):
        mailbox.put(f'a{number}', 'a')
    assert mailbox.take() == ['b1']


def test_a_newer_item_keeps_the_turn_of_the_one_it_replaces():
    mailbox = Mailbox(at_most=1)
    mailbox.put('a1', 'a')
    mailbox.put('b1', 'b')
    mailbox.put('a2', 'a')
    assert mailbox.take() == ['a2']


def test_taking_waits_for_an_item():
    mailbox = Mailbox()
    taken = []
    thread = threading.Thread(target=lambda: taken.append(mailbox.take()))
    thread.start()
    mailbox.put('a')
    thread.join(10)
    assert taken == [['a']]


def test_a_worker_skips_what_came_while_it_worked():
    started, release, last_done = threading.Event(), threading.Event(), threading.Event()
    done = []

    def work(items):
        started.set()
        release.wait(10)
        done.extend(items)
        if items == ['c']:
            last_done.set()

    worker = Worker(work, on_error=done.append, name='test')
    worker.mailbox.put('a')
    started.wait(10)
    worker.mailbox.put('b')
    worker.mailbox.put('c')
    release.set()
    assert last_done.wait(10)
    assert worker.stop(timeout_s=10)
    assert done == ['a', 'c']


def test_a_worker_goes_on_after_an_error():
    errors, finished = [], threading.Event()

    def work(items):
        if items == ['bad']:
            raise ValueError('bad item')
        finished.set()

    def on_error(error):
        errors.append(str(error))
        worker.mailbox.put('good')

    worker = Worker(work, on_error, name='test')
    worker.mailbox.put('bad')
    assert finished.wait(10)
    assert worker.stop(timeout_s=10)
    assert errors == ['bad item']


def test_stopping_a_worker_that_is_stuck_says_so():
    release, started = threading.Event(), threading.Event()

    def work(items):
        started.set()
        release.wait(10)

    worker = Worker(work, on_error=lambda error: None, name='test')
    worker.mailbox.put('a')
    started.wait(10)
    assert not worker.stop(timeout_s=0.01)
    release.set()
    assert worker.stop(timeout_s=10)
