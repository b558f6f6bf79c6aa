# As much of Mastodon as the commands of `export rails` meet: ActiveRecord and Doorkeeper as its initializers, models and
# extensions set them up (config/initializers/doorkeeper.rb, lib/../application_extension.rb, user.rb, account.rb; 2.4 to
# 4.7). `ruby -r ./mastodon.rb SCRIPT` with LOCAL_DOMAIN and libpq's variables.
require 'rails'
require 'active_record'
require 'pg'
require 'addressable/idna'
require 'doorkeeper'

class MastodonApplication < Rails::Application
  config.x.local_domain = ENV.fetch('LOCAL_DOMAIN')
  config.eager_load = false
end
Rails.application = MastodonApplication.instance

ActiveRecord::Base.establish_connection(adapter: 'postgresql', database: ENV.fetch('PGDATABASE'))

class Account < ActiveRecord::Base
  has_one :user, inverse_of: :account
end

class User < ActiveRecord::Base
  belongs_to :account, inverse_of: :user
  has_many :applications, class_name: 'Doorkeeper::Application', as: :owner
end

Doorkeeper.configure do
  orm :active_record
  access_token_expires_in nil
  reuse_access_token
  enable_application_owner
  force_ssl_in_redirect_uri false
  default_scopes :read
  optional_scopes :write, :'write:accounts', :'write:statuses', :'read:accounts', :'read:statuses', :follow, :push
  enforce_configured_scopes
end

module ApplicationExtension
  extend ActiveSupport::Concern

  included do
    validates :name, length: { maximum: 60 }
    validates :redirect_uri, length: { maximum: 2_000 }
    validates :website, length: { maximum: 2_000 }, format: %r{\Ahttps?://\S+\z}, if: :website?
  end
end
Doorkeeper::Application.include(ApplicationExtension)
