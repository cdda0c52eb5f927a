<?php
// A page that counts its visits in the session; php's own session handler of phpredis keeps it.
// Served by `php -S ... -d session.save_handler=redis -d session.save_path=...`; /leave ends the session.

session_start();
if ($_SERVER['REQUEST_URI'] === '/leave') {
    echo session_destroy() ? 'left' : 'still here';
} else if ($_SERVER['REQUEST_URI'] === '/login') {
    $_SESSION['user'] = ['name' => 'ann', 'groups' => [1, 2]];
    echo session_regenerate_id(true) ? 'welcome' : 'no new id';
} else {
    $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
    echo json_encode($_SESSION);
}
