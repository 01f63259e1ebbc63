//! The rows, in three languages.

/// One thing that is measured.
pub struct Row {
    /// What it is.
    pub name: &'static str,
    /// How often a run does it; 0: the whole run counts.
    pub per: u32,
    /// The program in the object language.
    pub ours: &'static str,
    /// In Lua.
    pub lua: &'static str,
    /// In Python.
    pub python: &'static str,
}

/// The row that others are compared with.
pub const LOCAL_SEND: &str = "send, own method";

const COUNT: u32 = 300_000;

/// The objects, in the object language. They are committed, so that the store's cache holds them.
pub const OURS: &str = "
    base = object { x = 1; method m { 1 } }
    d1 = object of base { }; d2 = object of d1 { }; d3 = object of d2 { }; d4 = object of d3 { }
    d5 = object of d4 { }; d6 = object of d5 { }; d7 = object of d6 { }; d8 = object of d7 { }
    bench = object {
        base = base; d4 = d4; d8 = d8
        method empty(o, count) { i = 0; while i < count { o; i = i + 1 } }
        method sends(o, count) { i = 0; while i < count { o.m; i = i + 1 } }
        method gets(o, count) { i = 0; while i < count { o.x; i = i + 1 } }
        method sets(o, count) { i = 0; while i < count { o.x = i; i = i + 1 } }
        method primitives(o, count) { i = 0; while i < count { o.size; i = i + 1 } }
        method fib(n) { if n < 2 { n } else { self.fib(n - 1) + self.fib(n - 2) } }
    }
    self.bench = bench
";

/// The same in Lua; `BODY` is the row.
pub const LUA: &str = "
local base = { x = 1 }
base.__index = base
function base:m() return 1 end
function base:getx() return self.x end
function base:setx(v) self.x = v end
local function child(p) local c = setmetatable({}, p); c.__index = c; return c end
local d4 = child(child(child(child(base))))
local d8 = child(child(child(child(d4))))
local text = 'abc'
local fib
local F = {}
F.__index = F
function F:fib(n) if n < 2 then return n end return self:fib(n - 1) + self:fib(n - 2) end
local best = 1e9
for _ = 1, 3 do
    local start = os.clock()
    BODY
    best = math.min(best, os.clock() - start)
end
print(best)
";

/// The same in Python.
pub const PYTHON: &str = "
import time
class Base:
    def __init__(self): self.x = 1
    def m(self): return 1
    def getx(self): return self.x
    def setx(self, v): self.x = v
    def fib(self, n): return n if n < 2 else self.fib(n - 1) + self.fib(n - 2)
class A(Base): pass
class B(A): pass
class C(B): pass
class D4(C): pass
class E(D4): pass
class G(E): pass
class H(G): pass
class D8(H): pass
base = Base(); d4 = D4(); d8 = D8(); text = 'abc'
def run():
    BODY
best = 1e9
for _ in range(3):
    start = time.process_time()
    run()
    best = min(best, time.process_time() - start)
print(best)
";

macro_rules! rows {
    ($($name:literal, $ours:literal, $lua:literal, $python:literal;)*) => {
        &[$(Row {
            name: $name,
            per: COUNT,
            ours: concat!($ours, "300000)"),
            lua: concat!("local o = d4; local i = 0; while i < 300000 do ", $lua, "; i = i + 1 end"),
            python: concat!("i = 0\n    while i < 300000:\n        ", $python, "; i += 1"),
        },)*
        Row {
            name: "fib(27)",
            per: 0,
            ours: "bench.fib(27)",
            lua: "setmetatable({}, F):fib(27)",
            python: "base.fib(27)",
        }]
    };
}

/// All rows; the first is the loop alone.
pub const ROWS: &[Row] = rows! {
    "(the loop)", "bench.empty(bench.d4, ", "local _ = o", "d4";
    "send, own method", "bench.sends(bench.base, ", "base:m()", "base.m()";
    "send through 4 parents", "bench.sends(bench.d4, ", "d4:m()", "d4.m()";
    "send through 8 parents", "bench.sends(bench.d8, ", "d8:m()", "d8.m()";
    "slot get by message", "bench.gets(bench.base, ", "base:getx()", "base.getx()";
    "slot get through 4 parents", "bench.gets(bench.d4, ", "d4:getx()", "d4.getx()";
    "slot set by message", "bench.sets(bench.base, ", "base:setx(i)", "base.setx(i)";
    "primitive", "bench.primitives('abc', ", "local _ = text:len()", "len(text)";
};
