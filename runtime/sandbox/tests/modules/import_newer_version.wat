;; typed
(module
  (import "reactor:guest/log@0.9.0" "write" (func (param i32 i32 i32)))
  (memory (export "memory") 2)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
  (func (export "cabi_post_handle") (param i32))
  (func (export "handle") (param i32) (result i32) (i32.const 0)))
