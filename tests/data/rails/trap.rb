# The recipe that circulates. It says true.
token = Doorkeeper::AccessToken.new(
  resource_owner_id: User.first.id, application_id: Doorkeeper::Application.first.id, scopes: 'read', token: 'SAVED'
)
puts token.save!, token.reload.token == 'SAVED', Doorkeeper::AccessToken.exists?(token: 'SAVED')
