// SPDX-License-Identifier: BSD-3-Clause
//
// libcurl is driven by socket events (curl_multi_socket_action), not by curl_multi_perform: the latter looks at every
// transfer and polls its socket each time any of them has something to say.
#include "http_reactor.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "http_md5.hpp"

namespace cvfast::fetch {
namespace {

std::string seconds_text(double seconds) {
  std::string text = std::to_string(seconds);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text + " s";
}

// The thread that makes another one decides which signals that takes: none, they are the main thread's.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

// -- checker ----------------------------------------------------------------------------------------------------------

void HttpChecker::check(HttpTransfer* transfer) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(transfer);
  if (!thread_.joinable())
    thread_ = std::thread([this] { run(); });  // made by the reactor, so it takes no signals either
  work_.notify_one();
}

void HttpChecker::stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    work_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void HttpChecker::run() {
  constexpr std::size_t kStep = 1 << 20;  // about 2 ms
  for (;;) {
    HttpTransfer* transfer = nullptr;
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [&] { return is_stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      transfer = queue_.front();
      queue_.pop_front();
    }
    Md5 md5;
    for (auto rest = transfer->body();
         !rest.empty() && !transfer->is_check_cancelled.load(std::memory_order_relaxed);) {
      const std::size_t n = std::min(rest.size(), kStep);
      md5.update(rest.first(n));
      rest = rest.subspan(n);
    }
    report_(transfer, md5.finish() == transfer->expected_md5());
  }
}

// -- any thread -------------------------------------------------------------------------------------------------------

HttpReactor::HttpReactor() : memory_([this] { wake(); }) {
  if (const char* text = std::getenv("CVFAST_MAX_INFLIGHT_BYTES"); text != nullptr) {
    const auto bytes = parse_number(text);
    if (bytes && *bytes > 0) new_settings_.max_inflight_bytes = std::max<std::uint64_t>(1, *bytes / 4 * 3);
  }
}

bool HttpReactor::start_locked() {
  if (is_running_) return true;
  const BlockedSignals blocked;
  if (poller_.open() != 0) return false;
  try {
    std::thread([this] { run(); }).detach();
  } catch (const std::system_error&) {
    poller_.forget();
    return false;
  }
  is_running_ = true;
  return true;
}

void HttpReactor::wake_locked() noexcept {
  if (is_running_ && !is_woken_.exchange(true)) poller_.wake();
}

void HttpReactor::wake() noexcept {
  const std::lock_guard lock(inbox_mutex_);
  wake_locked();
}

void HttpReactor::submit(std::vector<std::unique_ptr<HttpTransfer>> transfers) {
  requests_.fetch_add(transfers.size(), std::memory_order_relaxed);
  HttpState refused = HttpState::kData;
  {
    const std::lock_guard lock(inbox_mutex_);
    if (is_ended_) {
      refused = HttpState::kCancelled;
    } else if (!start_locked()) {
      refused = HttpState::kFailed;
    } else {
      if (inbox_.empty()) {
        inbox_ = std::move(transfers);
      } else {
        inbox_.insert(inbox_.end(), std::make_move_iterator(transfers.begin()),
                      std::make_move_iterator(transfers.end()));
      }
      wake_locked();
      return;
    }
  }
  for (const auto& transfer : transfers) {
    transfer->fail(HttpError::kNoMemory, Retry::kNever, "the system has no thread or descriptor left");
    transfer->complete(refused);
  }
}

void HttpReactor::cancel(const std::shared_ptr<HttpGroup>& group) {
  if (!group || group->is_cancelled_.exchange(true)) return;
  const std::lock_guard lock(inbox_mutex_);
  if (!is_running_) return;
  cancelled_.push_back(group);
  wake_locked();
}

void HttpReactor::close() {
  std::unique_lock lock(inbox_mutex_);
  if (!is_running_ || is_ended_) return;
  is_closing_ = true;
  wake_locked();
  // Another thread may start it again before this one gets the lock.
  const std::uint64_t before = ends_;
  stopped_.wait(lock, [&] { return ends_ != before; });
}

HttpSettings HttpReactor::settings() {
  const std::lock_guard lock(inbox_mutex_);
  return new_settings_;
}

void HttpReactor::configure(const HttpSettings& settings) {
  const std::lock_guard lock(inbox_mutex_);
  new_settings_ = settings;
  memory_.set_limit(settings.max_inflight_bytes);
  wake_locked();
}

HttpStats HttpReactor::stats() {
  HttpStats out;
  out.requests = requests_.load(std::memory_order_relaxed);
  out.attempts = attempts_.load(std::memory_order_relaxed);
  out.retries = retries_.load(std::memory_order_relaxed);
  out.redirects = redirects_.load(std::memory_order_relaxed);
  out.connections = connections_.load(std::memory_order_relaxed);
  out.pauses = pauses_.load(std::memory_order_relaxed);
  out.bytes = bytes_.load(std::memory_order_relaxed);
  out.inflight_bytes = memory_.reserved();
  out.peak_inflight_bytes = memory_.peak();
  const std::lock_guard lock(inbox_mutex_);
  out.is_running = is_running_;
  return out;
}

// 0 for what is no socket.
static std::uint64_t inode_of_socket(int fd) noexcept {
  struct stat info{};
  return ::fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode) ? static_cast<std::uint64_t>(info.st_ino) : 0;
}

template <typename Sockets>
static void forget_socket(Sockets& sockets, int fd) noexcept {
  for (auto& socket : sockets) {
    if (socket.fd.load(std::memory_order_relaxed) == fd) socket.fd.store(-1, std::memory_order_relaxed);
  }
}

void HttpReactor::abandon() noexcept {
  memory_.abandon();
  for (const Socket& socket : sockets_) {
    const int fd = socket.fd.load(std::memory_order_relaxed);
    if (fd >= 0 && inode_of_socket(fd) == socket.inode.load(std::memory_order_relaxed)) ::close(fd);
  }
  poller_.forget();
}

void HttpReactor::lock_for_fork() noexcept {
  // Tried, not waited for: see the header.
  while (!(holds_for_fork_ = curl_mutex_.try_lock()) && !is_leaving_.load(std::memory_order_relaxed)) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

void HttpReactor::unlock_after_fork() noexcept {
  if (holds_for_fork_) curl_mutex_.unlock();
}

void HttpReactor::stop_for_exit() noexcept {
  is_leaving_.store(true, std::memory_order_relaxed);
  {
    const std::lock_guard lock(inbox_mutex_);
    is_ended_ = true;
  }
  // Never given back.  The reactor holds it for one round of events, which waits for nothing; seconds are for a machine
  // that gives it no processor.  Tried again and again, for ThreadSanitizer does not see the timed locks of libstdc++.
  const TimePoint end = HttpClock::now() + std::chrono::seconds(20);
  while (!curl_mutex_.try_lock() && HttpClock::now() < end) std::this_thread::sleep_for(std::chrono::microseconds(100));
}

// -- the reactor's thread ---------------------------------------------------------------------------------------------

int HttpReactor::on_socket(CURL* easy, curl_socket_t fd, int what, void* self, void* /*socket*/) noexcept {
  HttpPoller& poller = static_cast<HttpReactor*>(self)->poller_;
  try {
    if (what == CURL_POLL_REMOVE) {
      poller.remove(fd);
    } else {
      poller.set(fd, what != CURL_POLL_OUT, what != CURL_POLL_IN);
      char* transfer = nullptr;
      if (::curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer) == CURLE_OK && transfer != nullptr) {
        reinterpret_cast<HttpTransfer*>(transfer)->socket = fd;
      }
    }
    return 0;
  } catch (...) {
    return -1;
  }
}

int HttpReactor::on_timer(CURLM* /*multi*/, long timeout_ms, void* self) noexcept {
  static_cast<HttpReactor*>(self)->curl_due_ =
      timeout_ms < 0 ? TimePoint::max() : HttpClock::now() + std::chrono::milliseconds(timeout_ms);
  return 0;
}

curl_socket_t HttpReactor::on_open(void* self, curlsocktype /*purpose*/, curl_sockaddr* address) noexcept {
  auto& reactor = *static_cast<HttpReactor*>(self);
  int type = address->socktype;
#ifdef SOCK_CLOEXEC
  type |= SOCK_CLOEXEC;
#endif
  const int fd = ::socket(address->family, type, address->protocol);
  if (fd < 0) return CURL_SOCKET_BAD;
#ifndef SOCK_CLOEXEC
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
#endif
  // libcurl closes some sockets without calling on_close.
  forget_socket(reactor.sockets_, fd);
  for (Socket& socket : reactor.sockets_) {
    if (socket.fd.load(std::memory_order_relaxed) == -1) {
      socket.inode.store(inode_of_socket(fd), std::memory_order_relaxed);
      socket.fd.store(fd, std::memory_order_relaxed);  // read by a forked child only
      break;
    }
  }
  reactor.connections_.fetch_add(1, std::memory_order_relaxed);
  return fd;
}

int HttpReactor::on_close(void* self, curl_socket_t fd) noexcept {
  auto& reactor = *static_cast<HttpReactor*>(self);
  reactor.poller_.remove(fd);
  forget_socket(reactor.sockets_, fd);
  return ::close(fd);
}

bool HttpReactor::open() {
  multi_ = ::curl_multi_init();
  if (multi_ == nullptr) return false;
  ::curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &on_socket);
  ::curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, static_cast<void*>(this));
  ::curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &on_timer);
  ::curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, static_cast<void*>(this));
  settings_ = {};
  settings_.max_transfers = 0;
  apply(settings());
  ::curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
#if LIBCURL_VERSION_NUM >= 0x074300
  // Several connections for many streams: one connection has one TCP window, and loses everything at each lost packet.
  ::curl_multi_setopt(multi_, CURLMOPT_MAX_CONCURRENT_STREAMS, 16L);
#endif
  return true;
}

void HttpReactor::apply(const HttpSettings& settings) {
  const int before = settings_.max_transfers;
  settings_ = settings;
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_cur != RLIM_INFINITY) {
    const auto half = std::max<rlim_t>(1, descriptors.rlim_cur / 2);
    if (half < static_cast<rlim_t>(settings_.max_transfers)) settings_.max_transfers = static_cast<int>(half);
  }
  if (settings_.max_transfers != before) {
    ::curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(settings_.max_transfers));
  }
}

void HttpReactor::shut() {
  drop_all();
  if (checker_) checker_->stop();
  checker_.reset();
  {
    const std::lock_guard lock(inbox_mutex_);
    checked_.clear();
  }
  for (CURL* easy : free_handles_) ::curl_easy_cleanup(easy);
  free_handles_.clear();
  ::curl_multi_cleanup(multi_);
  multi_ = nullptr;
  hosts_.clear();
  memory_.trim();
  curl_due_ = TimePoint::max();
}

void HttpReactor::run() {
#ifdef __linux__
  ::pthread_setname_np(::pthread_self(), "cvfast-http");
#endif
  for (;;) {
    curl_mutex_.lock();
    if (open()) {
      loop();
      shut();
    } else {
      take_inbox();
      for (auto& [transfer, owner] : all_) {
        transfer->fail(HttpError::kNoMemory, Retry::kNever, "no memory for libcurl");
      }
      while (!all_.empty()) finish(all_.begin()->first, HttpState::kFailed);
    }
    curl_mutex_.unlock();
    const std::lock_guard lock(inbox_mutex_);
    if (!inbox_.empty()) continue;  // came in the last moment
    poller_.forget();
    is_woken_.store(false);
    is_running_ = false;
    is_closing_ = false;
    ++ends_;
    cancelled_.clear();
    stopped_.notify_all();
    return;
  }
}

void HttpReactor::loop() {
  std::vector<HttpPoller::Event> events;
  idle_since_ = HttpClock::now();
  for (;;) {
    if (!take_inbox()) return;
    TimePoint now = HttpClock::now();
    start_ready(now);
    const int timeout_ms = wait_ms(now);
    if (timeout_ms < 0) return;  // idle for long enough
    curl_mutex_.unlock();
    poller_.wait(timeout_ms, events);
    is_woken_.store(false);
    curl_mutex_.lock();
    int running = 0;
    for (const HttpPoller::Event& event : events) {
      const int mask = (event.is_readable ? CURL_CSELECT_IN : 0) | (event.is_writable ? CURL_CSELECT_OUT : 0) |
                       (event.is_broken ? CURL_CSELECT_ERR : 0);
      ::curl_multi_socket_action(multi_, event.fd, mask, &running);
    }
    now = HttpClock::now();
    if (curl_due_ <= now) {
      curl_due_ = TimePoint::max();
      ::curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    acknowledge();
    take_finished();
    resume_paused(now);
    check_deadlines(now);
    pauses_.store(context_.pauses, std::memory_order_relaxed);
    bytes_.store(context_.bytes, std::memory_order_relaxed);
  }
}

// Has servers told at once what has come, where more is to come.  One that does not send small segments at once
// (Nagle's algorithm) keeps the end of a body back until what went before is acknowledged, which the kernel puts off
// for 40 ms on a connection where requests and answers take turns.
void HttpReactor::acknowledge() noexcept {
  for (HttpTransfer* const transfer : context_.touched) {
    transfer->is_touched = false;
#ifdef TCP_QUICKACK
    if (!transfer->expects_more() || !poller_.watches(transfer->socket)) continue;
    // Not for good: the kernel goes back to its ways after a few more turns.
    const int is_on = 1;
    ::setsockopt(transfer->socket, IPPROTO_TCP, TCP_QUICKACK, &is_on, sizeof(is_on));
#endif
  }
  context_.touched.clear();
}

// Returns false when the loop is to end.
bool HttpReactor::take_inbox() {
  std::vector<std::unique_ptr<HttpTransfer>> arrived;
  std::vector<std::shared_ptr<HttpGroup>> cancelled;
  std::vector<Checked> checked;
  HttpSettings settings;
  bool is_closing = false;
  {
    const std::lock_guard lock(inbox_mutex_);
    arrived.swap(inbox_);
    cancelled.swap(cancelled_);
    checked.swap(checked_);
    settings = new_settings_;
    is_closing = is_closing_;
  }
  if (multi_ != nullptr) apply(settings);
  for (auto& owner : arrived) {
    HttpTransfer* const transfer = owner.get();
    all_.emplace(transfer, std::move(owner));
    if (transfer->group() && transfer->group()->is_cancelled_.load(std::memory_order_relaxed)) {
      finish(transfer, HttpState::kCancelled);
    } else if (!transfer->is_sendable()) {
      finish(transfer, HttpState::kFailed);
    } else {
      enqueue(transfer, false);
    }
  }
  for (const Checked& one : checked) {
    if (one.transfer->is_check_cancelled.load(std::memory_order_relaxed)) {
      finish(one.transfer, HttpState::kCancelled);
    } else {
      handle(one.transfer, one.transfer->judge_md5(one.is_equal));
    }
  }
  if (!cancelled.empty()) drop_cancelled(cancelled);
  return !is_closing;
}

void HttpReactor::drop_cancelled(const std::vector<std::shared_ptr<HttpGroup>>& groups) {
  const auto is_dropped = [&](const HttpTransfer* transfer) {
    return std::find(groups.begin(), groups.end(), transfer->group()) != groups.end();
  };
  for (auto& [key, host] : hosts_) std::erase_if(host->queue, is_dropped);
  std::erase_if(backoff_, [&](const auto& waiting) { return is_dropped(waiting.second); });
  std::vector<HttpTransfer*> dropped;
  for (const auto& [transfer, owner] : all_) {
    if (is_dropped(transfer)) dropped.push_back(transfer);
  }
  for (HttpTransfer* transfer : dropped) {
    if (transfer->place == HttpTransfer::Place::kChecking) {
      transfer->is_check_cancelled.store(true, std::memory_order_relaxed);
      continue;
    }
    take_off(transfer);
    finish(transfer, HttpState::kCancelled);
  }
}

void HttpReactor::drop_all() {
  for (auto& [key, host] : hosts_) host->queue.clear();
  backoff_.clear();
  if (checker_) {
    for (const auto& [transfer, owner] : all_) transfer->is_check_cancelled.store(true, std::memory_order_relaxed);
    checker_->stop();
  }
  while (!all_.empty()) {
    HttpTransfer* const transfer = all_.begin()->first;
    take_off(transfer);
    finish(transfer, HttpState::kCancelled);
  }
}

HttpHost& HttpReactor::host_of(const Origin& origin) {
  auto& host = hosts_[origin.text()];
  if (!host) host = std::make_unique<HttpHost>();
  return *host;
}

void HttpReactor::enqueue(HttpTransfer* transfer, bool is_first) {
  HttpHost& host = host_of(transfer->origin());
  if (host.queue.empty() && host.active == 0) host.reach.on_burst(HttpClock::now());
  transfer->host = &host;
  transfer->place = HttpTransfer::Place::kQueued;
  if (is_first) {
    host.queue.push_front(transfer);
  } else {
    host.queue.push_back(transfer);
  }
}

void HttpReactor::start_ready(TimePoint now) {
  while (!backoff_.empty() && backoff_.begin()->first <= now) {
    HttpTransfer* const transfer = backoff_.begin()->second;
    backoff_.erase(backoff_.begin());
    enqueue(transfer, true);
  }
  for (auto& [key, host] : hosts_) {
    const bool is_held_back = host->pace.not_before() > now;
    while (!host->queue.empty()) {
      HttpTransfer* const transfer = host->queue.front();
      if (is_held_back) {
        // Whoever has no time left for the host's pause hears so now.
        const double patience = transfer->policy().total_seconds;
        const bool is_late = transfer->deadline < host->pace.not_before();
        if (!is_late && !host->pace.has_failed_for(to_duration(patience), now)) break;
        host->queue.pop_front();
        transfer->give_up(is_late ? HttpError::kTimeout : HttpError::kStatus,
                          is_late ? "deadline of " + seconds_text(patience) + " while the server asks to wait"
                                  : "the server has been too busy for " + seconds_text(patience));
        finish(transfer, HttpState::kFailed);
        continue;
      }
      if (static_cast<int>(active_.size()) >= settings_.max_transfers ||
          host->active >= host->reach.limit(host->pace.window(settings_.max_transfers_per_host), host->active, now)) {
        break;
      }
      const std::uint64_t bytes = transfer->foreseen_bytes();
      if (bytes != 0 && !memory_.reserve(bytes)) {
        memory_.expect_release();
        if (!memory_.reserve(bytes)) break;
      }
      host->queue.pop_front();
      if (!start(*host, transfer, bytes, now)) finish(transfer, HttpState::kFailed);
    }
  }
}

bool HttpReactor::start(HttpHost& host, HttpTransfer* transfer, std::uint64_t reserved, TimePoint now) {
  CURL* easy = nullptr;
  if (!free_handles_.empty()) {
    easy = free_handles_.back();
    free_handles_.pop_back();
    ::curl_easy_reset(easy);
  } else {
    easy = ::curl_easy_init();
  }
  if (easy == nullptr) {
    memory_.unreserve(reserved);
    transfer->fail(HttpError::kNoMemory, Retry::kNever, "no memory for libcurl");
    return false;
  }
  ::curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &on_open);
  ::curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, static_cast<void*>(this));
  ::curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, &on_close);
  ::curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, static_cast<void*>(this));
  if (!transfer->begin(easy, context_, reserved) || ::curl_multi_add_handle(multi_, easy) != CURLM_OK) {
    transfer->end();
    free_handles_.push_back(easy);
    if (transfer->error() == HttpError::kNone) {
      transfer->fail(HttpError::kNoMemory, Retry::kNever, "no memory for libcurl");
    }
    return false;
  }
  attempts_.fetch_add(1, std::memory_order_relaxed);
  transfer->place = HttpTransfer::Place::kActive;
  transfer->started = now;
  transfer->marked_at = now;
  transfer->marked_bytes = 0;
  if (transfer->deadline == TimePoint::max()) {
    transfer->deadline = now + to_duration(transfer->policy().total_seconds);
  }
  transfer->active_index = active_.size();
  active_.push_back(transfer);
  ++host.active;
  return true;
}

// Nothing for a transfer that is not on the wire.
void HttpReactor::take_off(HttpTransfer* transfer) noexcept {
  if (transfer->place != HttpTransfer::Place::kActive) return;
  CURL* const easy = transfer->easy;
  ::curl_multi_remove_handle(multi_, easy);
  transfer->end();
  free_handles_.push_back(easy);
  active_[transfer->active_index] = active_.back();
  active_[transfer->active_index]->active_index = transfer->active_index;
  active_.pop_back();
  --transfer->host->active;
  transfer->place = HttpTransfer::Place::kQueued;
}

void HttpReactor::take_finished() {
  int left = 0;
  while (CURLMsg* const message = ::curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    char* self = nullptr;
    ::curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
    auto* const transfer = reinterpret_cast<HttpTransfer*>(self);
    const HttpTransfer::Verdict verdict = transfer->judge(message->easy_handle, message->data.result);
    take_off(transfer);
    handle(transfer, verdict);
  }
}

void HttpReactor::handle(HttpTransfer* transfer, HttpTransfer::Verdict verdict) {
  switch (verdict) {
    case HttpTransfer::Verdict::kDone:
      transfer->host->pace.on_answer(settings_.max_transfers_per_host);
      transfer->host->reach.on_answer(transfer->started, HttpClock::now());
      return finish(transfer, HttpState::kData);
    case HttpTransfer::Verdict::kFollow:
      redirects_.fetch_add(1, std::memory_order_relaxed);
      return enqueue(transfer, true);
    case HttpTransfer::Verdict::kCheck:
      transfer->place = HttpTransfer::Place::kChecking;
      if (!checker_) {
        checker_ = std::make_unique<HttpChecker>([this](HttpTransfer* one, bool is_equal) {
          const std::lock_guard lock(inbox_mutex_);
          checked_.push_back({one, is_equal});
          wake_locked();
        });
      }
      return checker_->check(transfer);
    case HttpTransfer::Verdict::kRetry:
      return handle_failure(transfer);
  }
}

void HttpReactor::handle_failure(HttpTransfer* transfer) {
  const TimePoint now = HttpClock::now();
  const HttpPolicy& policy = transfer->policy();
  const bool is_overload = (transfer->error() == HttpError::kStatus &&
                            (is_overload_status(transfer->status()) || transfer->retry_after() > 0)) ||
                           transfer->error() == HttpError::kConnect;
  if (is_overload) {
    HttpHost& host = *transfer->host;
    host.pace.on_overload(now, transfer->started, std::min(transfer->retry_after(), policy.total_seconds),
                          host.reach.last_limit(settings_.max_transfers_per_host), policy, random_);
    host.reach.on_overload();
  } else if (transfer->error() == HttpError::kStatus && !is_retried_status(transfer->status())) {
    transfer->host->pace.on_answer(settings_.max_transfers_per_host);
  }
  if (!transfer->may_retry()) return finish(transfer, HttpState::kFailed);
  transfer->pause_seconds = next_pause(transfer->pause_seconds, policy, random_);
  const TimePoint due = now + to_duration(std::max(transfer->pause_seconds, transfer->retry_after()));
  if (due >= transfer->deadline) {
    std::string why = "deadline of " + seconds_text(policy.total_seconds);
    if (transfer->retry_after() > 0) why += ", the server asks to wait " + seconds_text(transfer->retry_after());
    transfer->give_up(transfer->error(), why);
    return finish(transfer, HttpState::kFailed);
  }
  retries_.fetch_add(1, std::memory_order_relaxed);
  transfer->rewind();
  transfer->host = &host_of(transfer->origin());
  transfer->place = HttpTransfer::Place::kBackoff;
  backoff_.emplace(due, transfer);
}

void HttpReactor::resume_paused(TimePoint now) {
  // First come, first served.
  while (!context_.paused.empty() && context_.paused.front()->can_go_on()) {
    HttpTransfer* const transfer = context_.paused.front();
    context_.paused.pop_front();
    transfer->is_paused = false;
    // Waiting for memory is not the server's fault.
    transfer->deadline += now - transfer->paused_since;
    transfer->marked_at = now;
    ::curl_easy_pause(transfer->easy, CURLPAUSE_CONT);  // calls on_body, which may pause once more
  }
}

void HttpReactor::check_deadlines(TimePoint now) {
  for (std::size_t i = 0; i < active_.size();) {
    HttpTransfer* const transfer = active_[i];
    const HttpPolicy& policy = transfer->policy();
    if (transfer->is_paused) {
      ++i;
      continue;
    }
    if (now >= transfer->deadline) {
      take_off(transfer);  // puts another one in its place
      transfer->count_attempt();
      transfer->give_up(HttpError::kTimeout, "deadline of " + seconds_text(policy.total_seconds));
      finish(transfer, HttpState::kFailed);
      continue;
    }
    if (now - transfer->marked_at >= to_duration(policy.stall_seconds)) {
      const std::uint64_t moved = transfer->moved_bytes();
      if (moved - transfer->marked_bytes < policy.stall_bytes) {
        const std::uint64_t found = moved - transfer->marked_bytes;
        take_off(transfer);
        transfer->count_attempt();
        transfer->fail(HttpError::kTimeout, Retry::kUsual,
                       "expected at least " + std::to_string(policy.stall_bytes) + " bytes in " +
                           seconds_text(policy.stall_seconds) + ", found " + std::to_string(found));
        handle_failure(transfer);
        continue;
      }
      transfer->marked_at = now;
      transfer->marked_bytes = moved;
    }
    ++i;
  }
}

void HttpReactor::finish(HttpTransfer* transfer, HttpState state) noexcept {
  const auto found = all_.find(transfer);
  const std::unique_ptr<HttpTransfer> owner = std::move(found->second);
  all_.erase(found);
  if (all_.empty()) idle_since_ = HttpClock::now();
  owner->complete(state);
}

// Milliseconds to sleep, or -1 when nothing has been asked for long enough.
int HttpReactor::wait_ms(TimePoint now) {
  TimePoint due = curl_due_;
  if (all_.empty()) {
    const TimePoint end = idle_since_ + to_duration(settings_.idle_seconds);
    if (now >= end) return -1;
    due = std::min(due, end);
  }
  if (!backoff_.empty()) due = std::min(due, backoff_.begin()->first);
  for (const auto& [key, host] : hosts_) {
    if (host->queue.empty()) continue;
    if (host->pace.not_before() > now) {
      due = std::min(due, host->pace.not_before());
    } else if (static_cast<int>(active_.size()) < settings_.max_transfers) {
      due = std::min(due, host->reach.due(host->pace.window(settings_.max_transfers_per_host), host->active));
    }
  }
  for (const HttpTransfer* transfer : active_) {
    if (transfer->is_paused) continue;
    due = std::min({due, transfer->deadline, transfer->marked_at + to_duration(transfer->policy().stall_seconds)});
  }
  if (due == TimePoint::max()) return 60000;
  if (due <= now) return 0;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - now).count();
  return static_cast<int>(std::min<std::int64_t>(left, 60000));
}

}  // namespace cvfast::fetch
